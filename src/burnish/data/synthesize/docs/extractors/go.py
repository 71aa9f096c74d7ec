"""Definitions of Go: exported functions, methods, types and values with doc comments, and testable examples."""

import re
import textwrap
from collections.abc import Iterator

from tree_sitter import Node

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.extractors.grammar import (
    children,
    comments_before,
    field,
    is_code,
    line_of,
    signature,
    source_lines,
    text_of,
    tree,
)
from burnish.data.synthesize.docs.items import Example, Item, first_sentence
from burnish.data.synthesize.docs.project import Project

_EXAMPLE = re.compile(r"Example(?P<what>[A-Z]\w*?)?(?:_(?P<suffix>[a-z]\w*))?$")
_LINK = re.compile(r"\[(\*?[A-Z]\w*(?:\.\w+)*|[a-z]\w*\.[A-Z]\w*)\](?!\()")


def extract(text: str, file: str, project: Project) -> Iterator[Item]:
    """The exported definitions with a doc comment. Test files give the examples of the other files of their folder."""
    if file.endswith("_test.go"):
        return
    root, lines = tree(text, "go"), text.split("\n")
    package = next((text_of(child.named_children[0]) for child in children(root, "package_clause")), "")
    if "internal" in file.split("/")[:-1]:
        project.left_out["private"] += 1
        return
    examples = _examples(file, project)
    for node in children(root, "package_clause"):
        yield from _item(node, node, package, package, "module", lines, file, project, examples)
    for node in root.named_children:
        for name, kind, part in _definitions(node):
            if not all(word[:1].isupper() for word in name.split(".")):
                project.left_out["private"] += 1
            elif part.has_error:
                project.left_out["definition that does not parse"] += 1
            else:
                full = name if package == "main" else f"{package}.{name}"
                yield from _item(node, part, full, package, kind, lines, file, project, examples)


def _definitions(node: Node) -> Iterator[tuple[str, str, Node]]:
    """(name, kind, node) of what a declaration defines."""
    if node.type == "function_declaration":
        yield text_of(field(node, "name")), "function", node
    elif node.type == "method_declaration":
        receiver = re.search(r"([A-Za-z_]\w*)(?:\[[^\]]*\])?\s*\)$", text_of(field(node, "receiver")))
        yield f"{receiver[1] if receiver else ''}.{text_of(field(node, 'name'))}", "method", node
    elif node.type == "type_declaration":
        for spec in children(node, "type_spec", "type_alias"):
            yield text_of(field(spec, "name")), "type", spec
    elif node.type in ("const_declaration", "var_declaration"):
        specs = [*children(node, "const_spec", "var_spec")]
        if len(specs) == 1:
            yield text_of(field(specs[0], "name")), "constant" if node.type[0] == "c" else "variable", specs[0]


def _item(
    node: Node,
    part: Node,
    name: str,
    package: str,
    kind: str,
    lines: list[str],
    file: str,
    project: Project,
    examples: dict[str, list[Example]],
) -> Iterator[Item]:
    is_grouped = part is not node and part.start_point.row > node.start_point.row
    whole = part if is_grouped else node
    comments = [comment for comment in comments_before(whole) if not re.match(r"//\w+:|//line ", text_of(comment))]
    doc = _comment_text(comments)
    if not doc.strip():
        if kind != "module":
            project.left_out["no documentation"] += 1
        return
    summary = first_sentence(doc)
    if len(summary.split()) < 3:
        project.left_out["documentation of fewer than three words"] += 1
        return
    block = field(node, "body") if kind in ("function", "method") else None
    head = body = ""
    if block is not None:
        body = source_lines(lines, comments[0].start_point.row, node.end_point.row)
        head = source_lines(lines, comments[0].start_point.row, block.start_point.row)
    found = examples.get(name if kind == "module" else name.removeprefix(f"{package}."), [])
    yield Item(
        name=name,
        kind=kind,
        language="go",
        file=file,
        line=line_of(part),
        doc=_markdown(doc),
        summary=summary,
        signature=""
        if kind == "module"
        else ("type " if is_grouped and kind == "type" else "") + signature(whole, block),
        body=body,
        head=head,
        module=package,
        examples=tuple(found),
    )


def _comment_text(comments: list[Node]) -> str:
    parts: list[str] = []
    for comment in comments:
        text = text_of(comment)
        if text.startswith("/*"):
            parts.append(textwrap.dedent(text[2:-2]).strip("\n"))
        else:
            parts.append(text[2:].removeprefix(" ").rstrip())
    return "\n".join(parts).strip("\n")


def _markdown(doc: str) -> str:
    """A doc comment as Markdown: indented lines are code, # starts a heading, [Name] is a link to a name."""
    parts: list[str] = []
    for block in re.split(r"\n{2,}", doc):
        lines = block.split("\n")
        is_list = bool(re.match(r"\s*(?:[-*+]|\d+[.)]) ", lines[0]))
        if all(line.startswith(("\t", "  ")) for line in lines) and not is_list:
            code = textwrap.dedent(block.expandtabs(4))
            parts.append(fenced(code, "go" if is_code(code, "go") else ""))
            continue
        plain = [line for line in lines if not re.match(r"\[[^\]]+\]: ", line)]
        text = "\n".join(line.strip() if not is_list else line.rstrip() for line in plain)
        heading = re.fullmatch(r"# (.+)", text)
        parts.append(f"**{heading[1]}**" if heading else _LINK.sub(r"`\1`", text))
    return "\n\n".join(part for part in parts if part.strip())


def _examples(file: str, project: Project) -> dict[str, list[Example]]:
    """Name → testable examples in the test files of the folder; those of the package are under its name."""
    folder = file.rpartition("/")[0]
    key = ("go examples", folder)
    if key not in project.memory:
        found: dict[str, list[Example]] = {}
        for other in sorted(project.files):
            if other.endswith("_test.go") and other.rpartition("/")[0] == folder:
                for name, example in _examples_of(other, project):
                    found.setdefault(name, []).append(example)
        project.memory[key] = found
    return project.memory[key]


def _examples_of(file: str, project: Project) -> Iterator[tuple[str, Example]]:
    text = project.text(file)
    root, lines = tree(text, "go"), text.split("\n")
    package = next((text_of(child.named_children[0]) for child in children(root, "package_clause")), "")
    for node in children(root, "function_declaration"):
        match = _EXAMPLE.match(text_of(field(node, "name")))
        block = field(node, "body")
        if match is None or block is None:
            continue
        first, last = block.start_point.row + 1, block.end_point.row - 1
        code = textwrap.dedent("\n".join(lines[first : last + 1])).strip("\n")
        if node.has_error or not code or not is_code(code, "go"):
            project.left_out["example that does not parse"] += 1
            continue
        name = (match["what"] or "").replace("_", ".") or package.removesuffix("_test")
        yield name, Example(code, file, first + 1)
