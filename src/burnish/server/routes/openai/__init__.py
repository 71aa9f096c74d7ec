"""OpenAI's routes for files and fine-tuning, so that its clients drive burnish: `base_url=http://127.0.0.1:8420/v1`."""
