"""Files as streams of bytes: where they lie (folder, archive), how they are unpacked and decoded."""
