"""Recipes as people write them: read, changed by `--set`, and validated."""
