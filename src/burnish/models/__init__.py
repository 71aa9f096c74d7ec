"""Models on disk and in memory: loaded, changed by adapters, merged, and used to generate text."""
