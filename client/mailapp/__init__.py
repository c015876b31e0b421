"""The mail client: plain functions over POP3 and SMTP, and a line mode for people and pipes."""
