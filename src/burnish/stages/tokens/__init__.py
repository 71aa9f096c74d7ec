"""Stages and shared steps that turn rows into tokens."""
