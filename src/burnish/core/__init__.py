"""Recipes, plans, inputs, runs, errors and events. Never imports torch."""
