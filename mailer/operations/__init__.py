"""Running an installation: its schema, its pause switch, its newsletters and its state."""
