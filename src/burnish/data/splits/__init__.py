"""Splits: the names they have, and which rows may be held out."""
