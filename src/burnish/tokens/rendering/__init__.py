"""From conversations to tokens and their weights."""
