"""The OpenAI-compatible server: HTTP in front, an engine in a supervised process behind."""
