"""Recipes: read from YAML, overridden by `--set`, and validated."""
