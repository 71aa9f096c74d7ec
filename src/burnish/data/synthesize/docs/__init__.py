"""Rows from source code and documentation: files → items (`extractors/`) → rows (`templates/`) → a sample in splits."""
