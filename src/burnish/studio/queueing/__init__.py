"""Jobs: the steps of submitted runs, in the queue of the workspace, and the worker that runs them.

To import it without SQLAlchemy raises MachineError `machine.no-package`, which names the extra.
"""

from burnish.studio.workrooms import require

require("sqlalchemy", "jobs")
