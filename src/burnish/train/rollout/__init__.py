"""Rollouts: completions sampled from the model in training, their rewards, and the rows that are made of them."""
