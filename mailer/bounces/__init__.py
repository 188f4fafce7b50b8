"""Learns from returned mails, complaints and refusals which readers can no longer be mailed."""
