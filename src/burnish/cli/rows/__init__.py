"""Rows as a person reads them: of a dataset, of a training at each visit, and completions with their rewards."""
