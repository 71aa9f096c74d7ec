"""What a step leaves: the workspace, its run folders, their records and artifacts."""
