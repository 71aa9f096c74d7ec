"""Models on disk and in memory: loaded, changed by adapters, merged, and asked for text."""
