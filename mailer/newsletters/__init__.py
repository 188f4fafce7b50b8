"""What a newsletter is: its profile, as staff make and change it, and what it offers to readers."""
