"""Run a share of a step: `python -m burnish.jobs.ranks RUN_FOLDER PARENT_PID HEART REPORT`; see `jobs.ranks.rank`."""

import sys

from burnish.jobs.ranks.rank import main

if __name__ == "__main__":
    main(sys.argv[1:])
