"""GGUF files: what llama.cpp and the tools around it read."""
