"""Run by Alembic: migrates on the connection, and in the transaction, of `burnish.jobs.database.schema`."""

from alembic import context

from burnish.jobs.database.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # also of SQLite: the transaction was begun by BEGIN IMMEDIATE
)
context.run_migrations()
