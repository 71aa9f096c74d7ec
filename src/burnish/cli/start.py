"""The console script: Ctrl-C ends it without a traceback, also while the command line is imported."""

import sys


def entry() -> None:
    """Run the command line; status 130 after Ctrl-C."""
    try:
        from burnish.cli.main import entry as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
