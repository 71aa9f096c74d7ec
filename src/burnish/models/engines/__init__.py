"""Engines generate text: one protocol, one module for each way."""
