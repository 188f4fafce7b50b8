"""Templates in the reader's language, and how that language writes dates and numbers."""
