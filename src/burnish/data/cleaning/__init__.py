"""Cleaning of raw rows in chunks: read, rewritten, judged and signed wherever, then decided and written in order."""
