"""Running steps: launchers start workers, a worker runs one step."""
