"""Signs people up, confirms them, changes what they get, and imports and shows readers for staff."""
