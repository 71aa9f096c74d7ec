"""The execution of a plan: its steps, its results, and requests to stop it."""
