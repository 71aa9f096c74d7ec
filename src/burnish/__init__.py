"""From raw data to a fine-tuned, evaluated, exported language model, with proof at each step."""

__version__ = "0.1.0"
