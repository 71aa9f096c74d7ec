"""Tokenizers, chat templates, and rendering of rows to tokens."""
