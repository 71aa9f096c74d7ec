"""Settings of all stages as frozen pydantic models, one file per family. No torch, no I/O."""
