"""Mail for other servers: kept on disk, tried again, reported when it cannot be delivered."""
