"""A wheel of the checkout has all of the package: kernels where there is a C compiler, the page if it is built."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from burnish.data.native.compiling import compilers

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore", "src", "recipes", "docker")
PAGE = "burnish/server/static/"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout")
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for library in folder.rglob("*.so*"):
        library.unlink()
    shutil.rmtree(folder / "src" / PAGE, ignore_errors=True)
    return folder


def wheel(checkout, folder, **environment):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=environment or None)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path, set(zipfile.ZipFile(path).namelist()), done.stderr


@pytest.mark.skipif(not compilers(), reason="no C compiler")
def test_a_wheel_has_kernels_and_is_of_one_platform(checkout, tmp_path):
    path, names, _ = wheel(checkout, tmp_path)
    assert "burnish/data/native/kernels.so" in names
    assert path.name.split("-")[2:4] == ["py3", "none"]
    assert not path.name.endswith("-any.whl")
    code = "from burnish.data.native.library import loaded; print(loaded()[1]); import burnish; print(burnish.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {unpacked(path, tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    problem, where = done.stdout.splitlines()
    assert problem == ""
    assert where.startswith(str(tmp_path))


def test_without_a_compiler_a_wheel_is_of_every_platform_and_the_build_says_why(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    _, names, said = wheel(checkout, tmp_path, PATH=str(tmp_path / "bin"), CC="")
    assert not [name for name in names if name.endswith(".so")]
    assert next(tmp_path.glob("*.whl")).name.endswith("-py3-none-any.whl")
    assert "no C compiler was found" in said
    assert "page: not built" in said
    assert not [name for name in names if name.startswith(PAGE)]


def test_a_wheel_that_is_built_after_the_page_has_it(checkout, tmp_path):
    page = checkout / "src" / PAGE
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>", encoding="utf-8")
    (page / "assets" / "index-1.js").write_text("", encoding="utf-8")
    try:
        _, names, said = wheel(checkout, tmp_path, PATH=str(tmp_path / "bin"), CC="")
    finally:
        shutil.rmtree(page)
    assert {PAGE + "index.html", PAGE + "assets/index-1.js"} <= names
    assert "page: not built" not in said


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    return str(folder / "unpacked")
