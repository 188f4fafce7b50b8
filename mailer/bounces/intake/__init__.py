"""Takes returned mail in: from a pipe, a Maildir or an IMAP folder."""
