"""What the operator sets for all mails."""
