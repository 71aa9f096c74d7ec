"""Inputs of steps: references to files, artifacts, Git and the Hub, pinned when planned and checked when read."""
