"""Checks of the answers to prompts: texts, patterns, language, refusals, lengths."""
