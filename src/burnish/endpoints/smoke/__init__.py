"""Checks of a running endpoint: what an OpenAI-compatible client relies on, asked once, without retries or cache."""
