"""Stages that write a model for other tools, and serve it."""
