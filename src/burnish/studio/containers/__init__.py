"""Containers: start, stop, enter and read them through `docker compose`, on Linux, macOS, Windows and in WSL."""

from burnish.studio.containers.verbs import bash, down, logs, up

__all__ = ["bash", "down", "logs", "up"]
