"""Text for people: English for staff, and strangers' text made safe to show."""
