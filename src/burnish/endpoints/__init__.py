"""Calls to OpenAI-compatible URLs, with retries, a cache on disk and a limit of calls."""
