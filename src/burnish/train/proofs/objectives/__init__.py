"""Checks of what an objective makes of its rows: pairs, scores, rollouts, and the formula of its loss."""
