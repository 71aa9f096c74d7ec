"""How anything runs: recipes, plans, inputs, runs, errors and events. No torch."""
