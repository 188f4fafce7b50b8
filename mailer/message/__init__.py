"""The bytes of mails: how they are composed, what is wrong with some, and what SMTP replies to them mean.

Pure: nothing in here reads a clock, opens a file or touches the network or the database.
"""
