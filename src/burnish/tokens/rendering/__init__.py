"""Rendering of conversations to tokens and weights."""
