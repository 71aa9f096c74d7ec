"""Bases in 4 bits: which layers are quantized, how they are loaded, and the record that an adapter keeps of it."""
