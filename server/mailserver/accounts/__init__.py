"""Who has an account here."""
