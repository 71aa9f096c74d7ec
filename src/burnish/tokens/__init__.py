"""Tokenizers, chat templates, and rows as tokens."""
