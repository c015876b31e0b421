"""The server's side of SMTP (RFC 5321) as a value: octets in, events and octets out, no I/O."""
