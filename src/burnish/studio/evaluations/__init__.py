"""Evaluations as a page shows them: scores with their intervals, items, and the difference of two of them."""
