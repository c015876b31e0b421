"""The server's side of POP3 (RFC 1939) as a value: octets in, events and octets out, no I/O."""
