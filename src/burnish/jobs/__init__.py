"""When and where a step runs: the launcher that starts workers, and the worker that does one step."""
