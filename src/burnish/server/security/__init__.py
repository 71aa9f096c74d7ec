"""Who may ask, and from where: hosts and origins, sessions and bearer tokens, headers of answers, the audit log."""
