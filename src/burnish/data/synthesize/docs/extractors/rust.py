"""Definitions of Rust: public functions, methods, types, traits and macros with `///` comments and their examples."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from burnish.data.synthesize.docs.extractors.docstrings import Block, blocks
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

_KINDS = {
    "function_item": "function",
    "function_signature_item": "function",
    "struct_item": "type",
    "enum_item": "type",
    "union_item": "type",
    "trait_item": "trait",
    "type_item": "type",
    "const_item": "constant",
    "static_item": "constant",
    "macro_definition": "macro",
}
_HIDDEN = re.compile(r"\s*#(?:\s|$)")
_LABELS = ("", "rust", "no_run", "should_panic", "edition2018", "edition2021", "edition2024")


def extract(text: str, file: str, project: Project) -> Iterator[Item]:
    """The public definitions with documentation, those of public modules in the file included."""
    lines = text.split("\n")
    waiting: list[tuple[Node, str, bool]] = [(tree(text, "rust"), "", False)]
    while waiting:
        parent, owner, is_open = waiting.pop()
        for node in parent.named_children:
            if node.type == "mod_item" and _is_public(node) and field(node, "body") is not None:
                waiting.append((field(node, "body"), f"{owner}{text_of(field(node, 'name'))}::", False))
            elif node.type == "impl_item" and field(node, "trait") is None and field(node, "body") is not None:
                waiting.append((field(node, "body"), f"{owner}{_type_name(node)}::", False))
            elif node.type in _KINDS:
                yield from _item(node, owner, is_open, parent, lines, file, project)
                if node.type == "trait_item" and _is_public(node) and field(node, "body") is not None:
                    waiting.append((field(node, "body"), f"{owner}{text_of(field(node, 'name'))}::", True))


def _type_name(node: Node) -> str:
    return re.split(r"[<\s]", text_of(field(node, "type")))[0].rpartition("::")[2]


def _is_public(node: Node) -> bool:
    return any(text_of(child) == "pub" for child in children(node, "visibility_modifier"))


def _item(
    node: Node, owner: str, is_open: bool, parent: Node, lines: list[str], file: str, project: Project
) -> Iterator[Item]:
    comments = [comment for comment in comments_before(node, ("attribute_item",)) if text_of(comment).startswith("///")]
    attributes = " ".join(_attributes(node))
    is_macro = node.type == "macro_definition" and "macro_export" in attributes
    if not (is_open or is_macro or _is_public(node)) or "doc(hidden)" in attributes:
        project.left_out["private"] += 1
        return
    doc = "\n".join(text_of(comment).rstrip("\n")[3:].removeprefix(" ").rstrip() for comment in comments)
    summary = first_sentence(doc)
    if not doc.strip() or len(summary.split()) < 3:
        why = "documentation of fewer than three words" if doc.strip() else "no documentation"
        project.left_out[why] += 1
        return
    if node.has_error:
        project.left_out["definition that does not parse"] += 1
        return
    first = comments[0].start_point.row
    short = text_of(field(node, "name"))
    is_in_type = parent.type == "declaration_list" and owner != "" and node.type.startswith("function")
    block = field(node, "body") if node.type == "function_item" else None
    found = blocks(doc)
    yield Item(
        name=f"{owner}{short}{'!' if is_macro else ''}",
        kind="method" if is_in_type else _KINDS[node.type],
        language="rust",
        file=file,
        line=line_of(node),
        doc=_shown(doc),
        summary=summary,
        signature="" if is_macro else signature(node, block),
        body=source_lines(lines, first, node.end_point.row) if block is not None else "",
        head=source_lines(lines, first, block.start_point.row) if block is not None else "",
        examples=tuple(_examples(found, short, first, file, project)),
    )


def _attributes(node: Node) -> Iterator[str]:
    before = node.prev_sibling
    while before is not None and (before.type == "attribute_item" or "comment" in before.type):
        if before.type == "attribute_item":
            yield text_of(before).replace(" ", "")
        before = before.prev_sibling


def _examples(found: list[Block], short: str, first: int, file: str, project: Project) -> Iterator[Example]:
    """Code that rustdoc would compile and that mentions the name, without its hidden lines."""
    for block in found:
        if block.kind != "code" or block.language not in _LABELS:
            continue
        code = without_hidden(block.text)
        if not is_code(f"fn main() {{\n{code}\n}}", "rust"):
            project.left_out["example that does not parse"] += 1
        elif short in code:
            yield Example(code, file, first + block.line + 1 + _hidden_first(block.text))


def _hidden_first(code: str) -> int:
    """How many lines stand before the first that is shown."""
    lines = code.split("\n")
    return next((number for number, line in enumerate(lines) if line.strip() and not _HIDDEN.match(line)), 0)


def without_hidden(code: str) -> str:
    """The code as rustdoc shows it: lines that start with `# ` are hidden, `##` stands for `#`."""
    lines = [line for line in code.split("\n") if not _HIDDEN.match(line)]
    return "\n".join(re.sub(r"^(\s*)##", r"\1#", line) for line in lines).strip("\n")


def _shown(doc: str) -> str:
    """The documentation without hidden lines, its code labelled as Rust."""
    lines, is_code_block, is_rust = list[str](), False, False
    for line in doc.split("\n"):
        if line.lstrip().startswith("```"):
            label = line.strip().strip("`").split(",")[0].strip()
            is_code_block = not is_code_block
            is_rust = is_code_block and label in _LABELS
            lines.append(f"{line[: len(line) - len(line.lstrip())]}```rust" if is_rust else line)
        elif is_rust and _HIDDEN.match(line):
            continue
        else:
            lines.append(line)
    return "\n".join(lines).strip()
