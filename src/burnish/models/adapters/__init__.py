"""LoRA adapters: what they train, how they are attached, saved and loaded, and what they change."""
