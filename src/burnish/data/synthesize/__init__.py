"""Rows that are made instead of read. Each generator is a pure function of its seed."""
