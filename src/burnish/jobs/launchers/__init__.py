"""Where the worker of a step runs: a process of this machine, or one of a cluster."""
