"""What an interface asks of servers: the page and its logins, the keys of `burnish serve`."""
