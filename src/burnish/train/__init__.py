"""Training: the loop, packed batches, and what they need of a model."""
