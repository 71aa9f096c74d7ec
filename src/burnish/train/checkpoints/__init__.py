"""What a run can be resumed from: its state, the files of a checkpoint, and the settings it was made under."""
