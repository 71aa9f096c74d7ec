"""The commands of the registry: `adapters` and `models` are one implementation for two kinds."""
