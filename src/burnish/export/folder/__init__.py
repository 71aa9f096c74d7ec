"""Folders that other tools read: the model card, what licences demand, and the upload to a hub."""
