"""What a training will take of the machine, before it starts."""
