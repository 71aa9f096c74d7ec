"""Certificates: whether an artifact is still the model that its parent is, within the limits of the change."""
