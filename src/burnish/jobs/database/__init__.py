"""The database of a workspace: an index of what its folders hold, and the queue of its jobs."""
