"""Answers that are found once for all who ask at the same moment."""
