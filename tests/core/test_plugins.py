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


def test_plugins_are_sorted_by_package_and_name_and_shown_without_their_entry(install):
    for package in ("b-two", "c-three", "a-one"):
        module = package.replace("-", "_")
        install(package, {"my.group": {"z": f"{module}:X", "a": f"{module}:X"}, "other": {"o": f"{module}:X"}})
    found = list(plugins("my.group"))
    assert [(plugin.package, plugin.name, plugin.target) for plugin in found] == [
        (f"{package} 1.0", name, f"{package.replace('-', '_')}:X")
        for package in ("a-one", "b-two", "c-three")
        for name in ("a", "z")
    ]
    assert "entry" not in repr(found[0])
    assert str(found[0]) == "the plugin 'a' of a-one 1.0 (my.group: a_one:X)"
    assert [plugin.name for plugin in plugins("other")] == ["o"] * 3


def test_a_folder_of_the_path_that_is_missing_or_names_another_group_has_no_plugin(tmp_path, monkeypatch):
    for name, text in (("a.dist-info", "[other]\n"), ("b.egg-info", ""), ("c", "[my.group]\nx = c:X\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "entry_points.txt").write_text(text)
    (tmp_path / "d.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path)])
    assert list(plugins("my.group")) == []
    (tmp_path / "d.dist-info" / "entry_points.txt").write_text("[my.group]\nx = d:X\n")
    (tmp_path / "d.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: d\nVersion: 2\n")
    assert [(plugin.package, plugin.target) for plugin in plugins("my.group")] == [("d 2", "d:X")]
