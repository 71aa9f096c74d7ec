"""Measures of a model, their intervals, and paired comparisons."""
