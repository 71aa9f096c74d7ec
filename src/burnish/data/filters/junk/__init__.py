"""What is no text for people: encoded data, logs, packed code, numbers, wrong encodings, keywords, boilerplate."""
