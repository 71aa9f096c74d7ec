"""Kernels of `texts` and `dedup` in C. Numpy defines what they compute, and does it where they are not built."""
