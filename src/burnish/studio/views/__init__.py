"""What a page shows of one run: its detail, curves, events and files."""
