"""Quantized models in the format of compressed-tensors, written by llm-compressor in an environment of its own."""
