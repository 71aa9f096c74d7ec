"""API keys of the server: who may ask, and how much."""
