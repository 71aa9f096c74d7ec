"""The settings of a workspace that are variables of the environment: what its `.env` may hold, safely edited."""
