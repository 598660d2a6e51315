"""E-mail: the SMTP client and the texts of all messages."""
