"""The settings of a workspace that are variables of the environment: what its `.env` may hold, safely edited."""

from burnish.studio.settings.changes import change_settings, settings
from burnish.studio.settings.environment import load_env_file

__all__ = ["change_settings", "load_env_file", "settings"]
