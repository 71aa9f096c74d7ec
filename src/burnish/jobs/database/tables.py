"""The tables, as the newest migration leaves them. Times are seconds since 1970, for people; nothing compares them."""

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()
ID = BigInteger().with_variant(Integer, "sqlite")
"""Only INTEGER is numbered by SQLite."""

origin = Table("origin", metadata, Column("workspace", String, primary_key=True))
"""One row: the workspace whose runs these are."""

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""One row for each kind of thing that has revisions. It is locked while they change (see `jobs.queue.change`)."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("run", String, nullable=False),
    Column("recipe", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("step", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("state", String, nullable=False),
    Column("slot", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("position", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("lost_by", JSON_TYPE, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("time_limit", Double),
    Column("launcher", String, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("worker", String),
    Column("requested", String),
    Column("error", JSON_TYPE(none_as_null=True)),
    Column("reason", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("revision", BigInteger, nullable=False),
    Index("jobs_of_a_run", "run", "step", unique=True),
    Index("jobs_in_order", "state", text("priority DESC"), "position", "id"),
    Index("jobs_by_position", "position"),
    Index("jobs_by_revision", "revision", unique=True),
    sqlite_autoincrement=True,  # an id is never given again
)

needs = Table(
    "job_needs",
    metadata,
    Column("job", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("need", ID, ForeignKey("jobs.id"), primary_key=True),
    Index("jobs_that_need", "need"),
)
"""`job` waits until `need` has succeeded."""

indexed_steps = Table(
    "indexed_steps",
    metadata,
    Column("run", String, primary_key=True),
    Column("recipe", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("step", String, nullable=False),
    Column("age", Double, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stage", String),
    Column("created", Double),
    Column("started", Double),
    Column("ended", Double),
    Column("attempts", BigInteger),
    Column("kind", String),
    Column("measures", Text, nullable=False),
    Column("fingerprint", String),
    Column("is_open", Boolean, nullable=False),
    Column("signature", String, nullable=False),
    Index("indexed_steps_by_state", "state"),
)
"""The columns are the fields of `jobs.index.entry.StepEntry`."""

indexed_runs = Table(
    "indexed_runs",
    metadata,
    Column("run", String, primary_key=True),
    Column("recipe", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("steps", Text, nullable=False),
    Column("damage", Text, nullable=False),
    Column("signature", String, nullable=False),
)
"""The columns are the fields of `jobs.index.entry.RunEntry`; `steps` is JSON."""

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("boot", String, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started", String, nullable=False),
    Column("slots", JSON_TYPE, nullable=False),
    Column("version", String, nullable=False),
    Column("joined", Double, nullable=False),
    Column("seen", Double, nullable=False),
)
