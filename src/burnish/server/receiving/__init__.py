"""Files that a request sends are written as they arrive, never held in memory nor in a second place."""
