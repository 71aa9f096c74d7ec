"""Chat templates: compiled, sandboxed, traced, and asked what they can express."""
