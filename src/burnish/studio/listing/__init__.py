"""Lists of runs and steps: always what the folders say, and quick."""
