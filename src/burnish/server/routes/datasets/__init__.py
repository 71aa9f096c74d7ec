"""Routes of datasets, and their shapes."""
