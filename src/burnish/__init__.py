"""From raw data to a fine-tuned, evaluated, exported language model, with proof at each step."""
