"""Migrations that come after the newest one, as those of a later burnish."""

import shutil
from pathlib import Path

import pytest

from burnish.jobs.database import schema

LATER = '''
"""Of a later burnish."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{revision}", "{before}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("color", sa.String, nullable=False, server_default="grey"))
    op.create_table("paints", sa.Column("name", sa.String, primary_key=True))
    op.execute("UPDATE jobs SET color = 'blue'")
    op.create_index("by_color", "jobs", ["color"])
'''


@pytest.fixture
def later(tmp_path) -> Path:
    """A folder of migrations with one more, version 9999."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema._FOLDER, folder)
    text = LATER.format(revision="9999", before=schema.known_versions()[-1])
    (folder / "versions" / "9999_later.py").write_text(text)
    return folder


@pytest.fixture
def at(monkeypatch, later):
    """Be a burnish that knows the migrations up to a version."""

    def at(version):
        folder = later.with_name(f"up-to-{version}")
        shutil.copytree(later, folder, dirs_exist_ok=True)
        for path in (folder / "versions").glob("[0-9]*.py"):
            if path.name.partition("_")[0] > version:
                path.unlink()
        monkeypatch.setattr(schema, "_FOLDER", folder)
        return folder

    return at
