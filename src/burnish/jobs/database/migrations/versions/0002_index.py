"""The index of runs: what the records of run folders say."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "indexed_steps",
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("age", sa.Double, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stage", sa.String),
        sa.Column("created", sa.Double),
        sa.Column("started", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("attempts", sa.BigInteger),
        sa.Column("kind", sa.String),
        sa.Column("measures", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
    )
    op.create_index("indexed_steps_by_state", "indexed_steps", ["state"])
    op.create_table(
        "indexed_runs",
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("damage", sa.Text, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
    )
