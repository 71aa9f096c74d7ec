"""Reports of evaluations and comparisons, as Markdown and as self-contained HTML."""
