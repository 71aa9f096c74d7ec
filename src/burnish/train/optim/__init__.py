"""How gradients become updates: optimizers and learning-rate schedules."""
