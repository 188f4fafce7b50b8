"""A newsletter mailer: feeds in, one digest per slot out, to each reader once."""

__version__ = "0.1.0"
