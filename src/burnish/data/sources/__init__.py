"""From an input to its files: folders, Hub layouts, LLaMA-Factory's `dataset_info.json`, Git repositories."""
