"""When digests are due: schedules, the calendar of their slots, and which slots are due now."""
