"""Entry points of installed packages: found in folders and zip files, without importing metadata if there are none."""

import subprocess
import sys
import zipfile

import pytest

from burnish.core.plugins import plugins

METADATA = "Metadata-Version: 2.1\nName: extra-stages\nVersion: 1.0\n"
ENTRY = "[burnish.stages]\nx = extra_stages:X\n"


@pytest.fixture(params=["dist-info", "zip"])
def installed(request, tmp_path, monkeypatch):
    """A package whose entry point names the object 7."""
    files = {
        "extra_stages.py": "X = 7\n",
        "extra_stages-1.0.dist-info/METADATA": METADATA,
        "extra_stages-1.0.dist-info/entry_points.txt": ENTRY,
    }
    if request.param == "zip":
        place = tmp_path / "packages.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        place = tmp_path
        (place / "extra_stages-1.0.dist-info").mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
    monkeypatch.syspath_prepend(str(place))
    yield
    sys.modules.pop("extra_stages", None)


def test_an_entry_point_is_loaded(installed):
    [plugin] = plugins("burnish.stages")
    assert (plugin.name, plugin.package, plugin.target, plugin.load()) == ("x", "extra-stages 1.0", "extra_stages:X", 7)


def test_a_group_that_no_package_names_is_empty(installed):
    assert list(plugins("burnish.nothing")) == []


def test_without_a_plugin_the_metadata_of_packages_is_not_imported(tmp_path):
    code = (
        "import sys; from burnish.core.plugins import plugins\n"
        "print(list(plugins('burnish.nothing')), 'importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"
