"""Scores of single answers, and the readers of what models write: numbers, JSON, tool calls."""
