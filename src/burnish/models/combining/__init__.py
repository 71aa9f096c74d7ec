"""Several LoRA adapters combined into one: how, whether they fit together, and how much of each is left."""
