"""Recipes for interfaces: those that there are, those that are given, and the forms that one can be written in."""
