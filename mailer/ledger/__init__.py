"""The ledger: deliveries and notices with their statuses, and the only statements that write one.

Each statement names the statuses that it may change, so a row that has moved on is left alone. What a
reply of the relay means is decided in `mailer.sending.smtp.verdict`. Nothing here commits.
"""
