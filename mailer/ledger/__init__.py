"""The ledger: deliveries and notices with their statuses, and the only statements that write one."""
