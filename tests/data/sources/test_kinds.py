"""Each input as the list of files that it means: names, readers, splits, and everything that is left out."""

import json
import zipfile
from pathlib import Path

import pytest

from burnish.core.errors import DataError
from burnish.data.files.endings import ENDINGS, NOT_UNPACKED
from burnish.data.readers import CODE, PROSE, ending_of, readers
from burnish.data.readers.columnar import read_arrow, read_parquet
from burnish.data.readers.json_document import read_json
from burnish.data.readers.json_lines import read_json_lines
from burnish.data.readers.tables import read_csv, read_tsv
from burnish.data.readers.texts import read_text, read_whole
from burnish.data.record import ReadReport
from burnish.data.sources.listing import find_files

READ = {
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".txt": read_text,
}
OTHER, BESIDE = "another kind of file", "a kind of file that is not read beside the others"
KNOWN = (
    "known are .arrow, .csv, .json, .jsonl, .ndjson, .parquet, .tsv, .txt, each also as .gz and .zst, .zip with such"
    " files, and files of text and source code"
)


@pytest.fixture
def folder(tmp_path):
    """A folder of files by name, each with its own name as content."""

    def folder(*names: str, at: str = "set", **contents: str) -> Path:
        for name in (*names, *contents):
            path = tmp_path / at / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.get(name, name))
        return tmp_path / at

    return folder


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def found(path: Path, subset: str | None = None) -> tuple[list[tuple], dict]:
    """(name, reader, split) of each file, and what is skipped: the reason, and whether it matters."""
    reading = ReadReport()
    files = find_files(path, reading, subset)
    return [(file.name, file.read, file.split) for file in files], reading.skipped


def refused(*args) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        find_files(args[0], ReadReport(), *args[1:])
    assert caught.value.code == "data.unreadable"
    return caught.value.what, caught.value.fix


def test_the_readers_by_ending_are_those_that_the_guide_lists():
    assert readers() == READ


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.jsonl", ".jsonl"),
        ("A.JSONL", ".jsonl"),
        ("a.jsonl.gz", ".jsonl"),
        ("a.JSON.ZST", ".json"),
        ("a.b.csv.Gz", ".csv"),
        ("a.gz", ""),
        ("a.gz.csv", ".csv"),
        ("a", ""),
        ("a.jsonl.zip", ".zip"),
    ],
)
def test_the_ending_is_that_of_the_unpacked_file(name, ending):
    assert ending_of(Path("x.y", name)) == ending


@pytest.mark.parametrize("ending", [*READ, *PROSE, *CODE])
def test_a_single_file_is_read_by_its_ending(ending, folder):
    path = folder(f"train{ending}", f"TEST{ending.upper()}.GZ")
    expected = READ.get(ending, read_whole)
    assert found(path / f"train{ending}") == ([(f"train{ending}", expected, "")], {})
    assert found(path / f"TEST{ending.upper()}.GZ") == ([(f"TEST{ending.upper()}.GZ", expected, "")], {})


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz"])
def test_a_file_of_another_kind_is_refused_with_those_that_are_known(name, folder):
    ending = ".xlsx" if name == "a.xlsx" else ""
    assert refused(folder(name) / name) == (f"{name} is of no type that is known by its ending '{ending}'", KNOWN)


@pytest.mark.parametrize("ending", [ending for ending in (*ENDINGS, *NOT_UNPACKED) if ending != ".zip"])
def test_an_archive_is_refused_with_the_command_that_unpacks_it(ending, folder):
    name = f"a{ending}"
    fix = f"`burnish fetch {name}` unpacks it, and its rows are" if ending in ENDINGS else "unpack it: its folder is"
    assert refused(folder(name) / name) == (f"{name} is an archive, which is not read in place", f"{fix} a source")


def test_what_is_not_there_is_refused(tmp_path):
    assert refused(tmp_path / "gone") == (f"there is no {tmp_path / 'gone'}", "check the path")
    (tmp_path / "set").mkdir()
    assert refused(tmp_path / "set") == ("set holds no file that can be read, but nothing", "check the path")


def test_the_size_is_that_of_the_file(folder):
    path = folder("abc.jsonl", "sub/ab.jsonl")
    assert [file.size for file in find_files(path, ReadReport())] == [9, 12]
    assert [file.size for file in find_files(path / "abc.jsonl", ReadReport())] == [9]
    assert [file.size for file in find_files(folder("a.md", at="docs"), ReadReport())] == [4]
    archive = zipped(path.parent / "x.zip", "abc.jsonl")
    assert [file.size for file in find_files(archive, ReadReport())] == [9]


def test_a_folder_is_its_files_of_rows_if_it_has_any(folder):
    path = folder("b.jsonl", "test/a.csv", "dev.json.gz", "a.txt", "b.zip", "c.md", "d.png", "state.json", "e.xlsx")
    assert found(path) == (
        [("b.jsonl", read_json_lines, ""), ("dev.json.gz", read_json, "validation"), ("test/a.csv", read_csv, "test")],
        {
            "set/a.txt": (BESIDE, True),
            "set/b.zip": (BESIDE, True),
            "set/c.md": (OTHER, False),
            "set/d.png": (OTHER, False),
            "set/e.xlsx": (BESIDE, True),
            "set/state.json": (OTHER, False),
        },
    )


@pytest.mark.parametrize(
    "ending", [".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".xlsx", ".xls", ".pkl", ".db", ".sqlite", ".txt", ".zip"]
)
def test_a_kind_of_file_that_often_holds_rows_matters_when_it_is_not_read(ending, folder):
    assert found(folder("a.jsonl", f"B{ending.upper()}"))[1] == {f"set/B{ending.upper()}": (BESIDE, True)}


@pytest.mark.parametrize(
    "name", ["dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "sub/dataset_info.json"]
)
def test_files_that_describe_a_dataset_are_no_rows(name, folder):
    assert found(folder("rows.json", name)) == ([("rows.json", read_json, "")], {f"set/{name}": (OTHER, False)})
    assert refused(folder(name, at="alone"))[0] == f"alone holds no file that can be read, but {name}"


def test_a_folder_without_rows_is_its_archives_and_then_its_documents(folder):
    path = folder("a.txt", "sub/b.md", "c.py.gz", "logo.png")
    assert found(path) == (
        [("a.txt", read_whole, ""), ("c.py.gz", read_whole, ""), ("sub/b.md", read_whole, "")],
        {"set/logo.png": (OTHER, False)},
    )
    zipped(path / "sub/TEST.ZIP", "train.jsonl", "x.png")
    assert found(path) == (
        [("sub/TEST.ZIP/train.jsonl", read_json_lines, "train")],
        {
            "set/a.txt": (BESIDE, True),
            "set/c.py.gz": (OTHER, False),
            "set/logo.png": (OTHER, False),
            "set/sub/b.md": (OTHER, False),
            "sub/TEST.ZIP/x.png": (OTHER, False),
        },
    )
    assert refused(folder("f.png", "b.png", "e.png", "d.png", "c.png", "a.png", at="pictures")) == (
        "pictures holds no file that can be read, but a.png, b.png, c.png, d.png, e.png",
        "check the path",
    )


def test_an_archive_is_its_files_of_rows_or_its_documents(tmp_path):
    rows = zipped(
        tmp_path / "X.ZIP", "b/val.jsonl", "a.csv.gz", "c.txt", "d.md", "e.png", "f.ndjson", "g.tsv", "h.json"
    )
    assert found(rows) == (
        [
            ("X.ZIP/a.csv.gz", read_csv, ""),
            ("X.ZIP/f.ndjson", read_json_lines, ""),
            ("X.ZIP/g.tsv", read_tsv, ""),
            ("X.ZIP/h.json", read_json, ""),
            ("X.ZIP/b/val.jsonl", read_json_lines, "validation"),
        ],
        {"X.ZIP/c.txt": (BESIDE, True), "X.ZIP/d.md": (OTHER, False), "X.ZIP/e.png": (OTHER, False)},
    )
    documents = zipped(tmp_path / "y.zip", "test/a.txt", "b.py", "c.png")
    assert found(documents) == (
        [("y.zip/b.py", read_whole, ""), ("y.zip/test/a.txt", read_whole, "")],
        {"y.zip/c.png": (OTHER, False)},
    )
    assert refused(zipped(tmp_path / "z.zip", "a.png")) == (
        "z.zip holds no file that can be read, but a.png",
        "check the path",
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.parquet", "a.parquet"), ("sub/a.arrow", "sub/a.arrow"), ("sub/dataset_info.json", "dataset_info.json")],
)
def test_an_archive_with_what_needs_a_disk_is_refused(name, shown, tmp_path):
    assert refused(zipped(tmp_path / "x.zip", "rows.jsonl", name)) == (
        f"x.zip holds {shown}, which cannot be read inside an archive",
        "unpack it, and give the folder",
    )


def test_a_subset_is_a_folder_at_any_depth(folder, tmp_path):
    path = folder("a.jsonl", "en/b.jsonl", "data/en/test/c.jsonl", "de/d.jsonl")
    assert [name for name, *_ in found(path, "en")[0]] == ["data/en/test/c.jsonl", "en/b.jsonl"]
    assert refused(path, "fr") == ("set has no subset 'fr'", "known names: data, de, en, test")
    assert refused(path, "datta")[1] == "did you mean 'data'?"
    assert refused(folder("a.jsonl", at="flat"), "en") == ("flat has no subset 'en'", "leave `subset` out")
    archive = zipped(tmp_path / "x.zip", "a.jsonl", "en/b.jsonl")
    assert [name for name, *_ in found(archive, "en")[0]] == ["x.zip/en/b.jsonl"]
    assert refused(archive, "de") == ("x.zip has no subset 'de'", "known names: en")
    assert refused(path / "a.jsonl", "en") == (
        "a.jsonl has no subsets, and `subset: en` was requested",
        "leave `subset` out, or name the folder of a dataset",
    )


CARD = "---\nconfigs:\n- config_name: a\n  data_dir: {base}\n  data_files:\n{files}---\n"


def card(folder, files: dict[str, str], base: str = "''", **more) -> Path:
    listed = "".join(f"  - split: {split}\n    path: {path}\n" for path, split in files.items())
    path = folder("data/one.jsonl", "data/test.jsonl", "data/sub/two.csv", "more.json", "notes.md", **more)
    (path / "README.md").write_text(CARD.format(base=base, files=listed))
    return path


def test_a_card_names_files_and_their_splits(folder):
    path = card(folder, {"./data/one.*": "dev_sft", "data/**.csv": "extra", "data/test.jsonl": "extra"})
    assert found(path) == (
        [
            ("data/one.jsonl", read_json_lines, "validation"),
            ("data/sub/two.csv", read_csv, ""),
            ("data/test.jsonl", read_json_lines, "test"),
        ],
        {"set/more.json": ("not named by the card for this subset", False)},
    )


@pytest.mark.parametrize("base", ["data", "/data/", "./data"])
def test_a_card_may_name_the_folder_of_its_files(base, folder):
    path = card(folder, {"one.jsonl": "train", "sub/*": "test"}, base)
    assert [(name, split) for name, _, split in found(path)[0]] == [
        ("data/one.jsonl", "train"),
        ("data/sub/two.csv", "test"),
    ]


@pytest.mark.parametrize("base", ["data", "./data/"])
def test_a_card_that_names_a_folder_alone_means_the_files_in_it(base, folder):
    path = folder("data/one.jsonl", "data/test.jsonl", "data/sub/two.csv", "more.json")
    (path / "README.md").write_text(f"---\nconfigs:\n- config_name: a\n  data_dir: {base}\n---\n")
    files, skipped = found(path)
    assert [(name, split) for name, _, split in files] == [
        ("data/one.jsonl", ""),
        ("data/test.jsonl", "test"),
        ("data/sub/two.csv", ""),
    ]
    assert skipped == {"set/more.json": ("not named by the card for this subset", False)}


def test_a_file_that_two_patterns_name_is_read_once_with_the_later_split(folder):
    path = card(folder, {"data/*.jsonl": "train", "data/test.jsonl": "test"})
    assert [(name, split) for name, _, split in found(path)[0]] == [
        ("data/one.jsonl", "train"),
        ("data/test.jsonl", "test"),
    ]


def test_a_card_that_names_a_file_that_is_not_there_is_refused(folder):
    assert refused(card(folder, {"data/one.jsonl": "train", "data/gone*": "test"})) == (
        "the card of set names data/gone*, and no file of that name is there",
        "fetch the dataset whole, or fix its README.md",
    )


def test_an_entry_names_a_file_or_a_folder(folder):
    path = folder("part/b.jsonl", "part/a.txt", "part/c.png", "part/test/d.csv", "e.jsonl")
    for name, expected in (
        ("part/test/d.csv", [("part/test/d.csv", read_csv, "")]),
        (
            "part",
            [
                ("part/a.txt", read_text, ""),
                ("part/b.jsonl", read_json_lines, ""),
                ("part/test/d.csv", read_csv, ""),
            ],
        ),
    ):
        columns = {"prompt": "a", "response": "b"}
        (path / "dataset_info.json").write_text(json.dumps({"x": {"file_name": name, "columns": columns}}))
        assert found(path, "x")[0] == expected
        for file in find_files(path, ReadReport()):
            assert file.adapt is not None
            assert file.adapt({"a": 1, "b": 2}) == {"instruction": 1, "output": 2}
