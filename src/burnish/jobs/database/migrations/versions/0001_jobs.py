"""The queue: jobs, what they need, workers, the counter of revisions, and which workspace all this is of."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table("origin", sa.Column("workspace", sa.String, primary_key=True))
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "jobs", "value": 0}])
    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String, nullable=False),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("slot", sa.String, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("position", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("lost_by", sa.JSON, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("time_limit", sa.Double),
        sa.Column("launcher", sa.String, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String),
        sa.Column("requested", sa.String),
        sa.Column("error", sa.JSON),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_of_a_run", "jobs", ["run", "step"], unique=True)
    op.create_index("jobs_in_order", "jobs", ["state", sa.text("priority DESC"), "position", "id"])
    op.create_index("jobs_by_position", "jobs", ["position"])
    op.create_index("jobs_by_revision", "jobs", ["revision"], unique=True)
    op.create_table(
        "job_needs",
        sa.Column("job", ID, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("need", ID, sa.ForeignKey("jobs.id"), primary_key=True),
    )
    op.create_index("jobs_that_need", "job_needs", ["need"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("process_started", sa.String, nullable=False),
        sa.Column("slots", sa.JSON, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("joined", sa.Double, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
    )
