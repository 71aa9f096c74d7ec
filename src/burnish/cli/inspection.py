"""An inspection as a person sees it: what the rows are, how long, and the conversation with learned tokens coloured."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from burnish.cli.render import make_table
