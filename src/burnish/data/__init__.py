"""From files to rows: every line of every file is read, quarantined or dropped for a reason."""
