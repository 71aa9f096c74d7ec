"""Fine-tuning jobs and files as OpenAI's clients know them, over uploads and submitted runs of two steps."""
