"""Extractors give the public, documented definitions of each language, with the line they stand on."""

import pytest

from burnish.data.synthesize.docs.extractors import EXTRACTORS
from burnish.data.synthesize.docs.extractors.grammar import is_code
from burnish.data.synthesize.docs.project import UnreadableError
from small_projects import CHANGES, GO, JAVASCRIPT, MARKDOWN, RESTRUCTUREDTEXT, RUST, TYPESCRIPT

WORDS = {"section": "", "module": "package ", "property": "def "}
ALL = {**GO, **JAVASCRIPT, **TYPESCRIPT, **RUST, **MARKDOWN, **RESTRUCTUREDTEXT}


@pytest.mark.parametrize("files", [GO, JAVASCRIPT, TYPESCRIPT, RUST, MARKDOWN, RESTRUCTUREDTEXT])
def test_every_line_has_its_definition_and_every_example_parses(files, project):
    found, items = project(files)
    assert items
    for item in items.values():
        line = (found.root / item.file).read_text(encoding="utf-8").split("\n")[item.line - 1]
        assert (item.name.rpartition(" > ")[2] if item.kind == "section" else item.short) in line, (item.name, line)
        for example in item.examples:
            code = f"fn main() {{{example.code}}}" if item.language == "rust" else example.code
            assert item.kind == "section" or is_code(code, item.language)
            lines = (found.root / example.file).read_text(encoding="utf-8").split("\n")
            assert example.code.split("\n")[0].strip() in lines[example.line - 1]


def test_every_language_of_the_table_has_a_project_here():
    endings = {f".{name.rpartition('.')[2]}" for name in ALL}
    assert {extract for ending, extract in EXTRACTORS.items() if ending in endings} | {EXTRACTORS[".py"]} == set(
        EXTRACTORS.values()
    )


def test_go_has_exported_definitions_with_testable_examples(project):
    found, items = project(GO)
    assert set(items) == {
        *("shelf", "shelf.ErrFull", "shelf.Shelf", "shelf.Order", "shelf.New", "shelf.Shelf.Add")
    }  # fmt: skip
    new, add = items["shelf.New"], items["shelf.Shelf.Add"]
    assert new.signature == "func New(room int) *Shelf"
    assert new.examples[0].code.startswith("s := shelf.New(1)\n")
    assert new.examples[0].code.endswith("// Output:\n// <nil>")
    assert add.examples[0].line == 17
    assert "noinline" not in add.doc
    assert add.doc.endswith("It returns `ErrFull` when there is no room left.")
    assert new.head.endswith("func New(room int) *Shelf {")
    assert new.body.startswith("// New returns")
    assert new.body.endswith("}")
    assert "```go\ns := shelf.New(3)" in items["shelf"].doc
    assert items["shelf.Order"].signature == "type Order[T any] func(a, b T) bool"
    assert found.left_out == {"private": 2, "no documentation": 1}


def test_javascript_has_exports_with_jsdoc(project):
    found, items = project(JAVASCRIPT)
    assert set(items) == {"add", "Queue", "Queue.peek", "double", "readText"}
    add = items["add"]
    assert [(p.name, p.is_required, p.default, p.doc) for p in add.parameters] == [
        ("a", True, "", "The first number."),
        ("b", False, "1", "The second number."),
    ]
    assert [(example.code, example.line) for example in add.examples] == [
        ("const three = add(1, 2);\nconsole.log(three);", 8)
    ]
    assert add.signature == "function add(a, b = 1)"
    assert items["double"].signature == "const double = (x)"
    assert items["Queue.peek"].head.endswith("peek() {")
    assert found.left_out["example that does not parse"] == 1


def test_typescript_has_exports_with_their_types(project):
    _, items = project(TYPESCRIPT)
    assert set(items) == {"Options", "Options.wait", "send", "Size", "Title"}
    assert items["send"].signature == (
        "async function send<T = string>(url: string, options?: Partial<Options>): Promise<T>"
    )
    assert items["send"].examples[0].code.startswith("const answer: string")
    assert items["Size"].signature == 'type Size = "s" | "m" | "l";'


def test_rust_has_public_items_and_examples_without_hidden_lines(project):
    found, items = project(RUST)
    assert set(items) == {"Stack", "Stack::new", "Stack::push", "Weight", "Weight::grams", "stack!"}
    (example,) = items["Stack"].examples
    assert example.code == "let mut stack = Stack::new();\nstack.push(1);"
    assert "use stacks::Stack" not in items["Stack"].doc
    assert items["Stack::push"].signature == "pub fn push(&mut self, value: T)"
    assert "#[inline]" in items["Stack::push"].head
    assert found.left_out["private"] == 2


def test_markdown_has_its_sections_without_badges_and_changes(project):
    with pytest.raises(UnreadableError, match="a changelog"):
        project(CHANGES)
    _, items = project(MARKDOWN)
    assert set(items) == {"Shelf", "Shelf > Install", "Shelf > How to upgrade"}
    assert items["Shelf"].doc.startswith("Shelf keeps books")
    assert "# not a heading" in items["Shelf > Install"].doc
    assert items["Shelf > How to upgrade"].examples[0].code.startswith("import shelf")
    assert "Read the notes first" in items["Shelf > How to upgrade"].doc


def test_restructuredtext_becomes_markdown(project):
    _, items = project(RESTRUCTUREDTEXT)
    assert set(items) == {"Guide", "Guide > Adding books", "Guide > Adding books > Details"}
    assert items["Guide"].doc == (
        "This guide explains how `shelf.add` puts a book on a shelf, and what happens when the `room` is used up."
    )
    adding = items["Guide > Adding books"]
    assert "returns to you:\n\n```\nshelf.add" in adding.doc
    assert '```python\nimport shelf\nshelf.add("Persuasion")\n```' in adding.doc
    assert "**Note:** Titles are compared" in adding.doc
    assert adding.examples[0].line == 22
