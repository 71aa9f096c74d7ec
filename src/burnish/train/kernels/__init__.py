"""Fast paths, each held against its plain twin by a test."""
