"""Kernels over blocks of texts, vectorised with numpy: words, lines and their hashes, a thousand texts at a time."""
