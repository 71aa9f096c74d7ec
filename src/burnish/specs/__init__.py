"""What a person may ask for: frozen pydantic models, one file per family. No torch, no I/O."""
