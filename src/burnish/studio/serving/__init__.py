"""What an interface asks of servers: their keys."""
