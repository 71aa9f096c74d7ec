"""The HTTP side of the server: requests and answers in OpenAI's shapes, keys, limits, metrics, access log."""
