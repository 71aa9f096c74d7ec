"""Run by Alembic: migrates on the connection, and in the transaction, of `burnish.jobs.database.schema`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,  # also of SQLite: the transaction was begun by BEGIN IMMEDIATE
)
context.run_migrations()
