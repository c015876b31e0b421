"""A mail server one can read: SMTP (RFC 5321) and POP3 (RFC 1939) over one data folder."""

__version__ = "0.1.0"
