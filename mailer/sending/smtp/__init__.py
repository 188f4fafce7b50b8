"""The SMTP client: the conversation with the relay, its connections, and what an answer means."""
