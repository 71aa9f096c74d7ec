"""Rows by a language model: planned, requested in rounds, read, compared, judged, and given in the order of slots."""
