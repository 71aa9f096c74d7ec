"""Duplicates: signatures of texts, near pairs among them, the groups they form, and which row of a group is kept."""
