"""Chat templates: compiled, sandboxed, traced, and probed for their features."""
