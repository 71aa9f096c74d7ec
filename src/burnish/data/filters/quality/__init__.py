"""Rules of published corpora about the quality of documents; the shapes of words and lines, and repetition."""
