"""The workspace, its run folders, their records and artifacts."""
