"""Whether mail comes from where it says: SPF, DKIM, DMARC, and what is written about it."""
