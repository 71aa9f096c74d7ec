"""Jobs: the steps of submitted runs, in the queue of the workspace, and the worker that runs them."""
