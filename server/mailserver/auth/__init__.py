"""Who is it? Authentication as values (SASL, RFC 4422)."""
