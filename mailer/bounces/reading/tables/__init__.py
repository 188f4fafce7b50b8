"""Lists what mail servers and their mails say, in many languages. Pure data: no code but its own form."""
