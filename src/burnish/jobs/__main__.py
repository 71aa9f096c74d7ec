"""Run one step: `python -m burnish.jobs RUN_FOLDER [PARENT_PID [REPORT_DESCRIPTOR]]`; see `jobs.worker`.

A file of its own: a process that `multiprocessing` starts imports the main module of its parent, but not a `__main__`.
"""

import sys

from burnish.jobs.worker import main

if __name__ == "__main__":
    main(sys.argv[1:])
