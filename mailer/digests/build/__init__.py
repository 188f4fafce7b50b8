"""Builds a digest: claims its slot, renders its editions and writes its deliveries."""
