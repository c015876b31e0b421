"""What a person can see of the server from outside."""
