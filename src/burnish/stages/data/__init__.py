"""Stages that make and show datasets."""
