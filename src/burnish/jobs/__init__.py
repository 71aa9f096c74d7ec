"""Running steps: the launcher starts workers, a worker runs one step."""
