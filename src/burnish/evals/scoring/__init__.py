"""Scorers of single answers, and parsers of model output: numbers, JSON, tool calls."""
