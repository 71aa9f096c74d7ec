"""Files as streams of bytes: from folders and archives, decompressed and decoded."""
