"""The registry: named versions of adapters and models, their stages, tags and history, as files of the workspace."""
