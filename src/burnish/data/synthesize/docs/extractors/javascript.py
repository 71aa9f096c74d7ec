"""Definitions of JavaScript and TypeScript with JSDoc: functions, classes, their methods, interfaces and types."""

import re
from collections.abc import Iterator
from functools import partial

from tree_sitter import Node

from burnish.data.synthesize.docs.extractors import jsdoc
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
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "function_signature": "function",
    "class_declaration": "class",
    "abstract_class_declaration": "class",
    "interface_declaration": "type",
    "type_alias_declaration": "type",
    "enum_declaration": "type",
}
_METHODS = ("method_definition", "method_signature", "abstract_method_signature")
_FUNCTIONS = ("arrow_function", "function_expression", "generator_function")


def extract(text: str, file: str, project: Project, *, grammar: str) -> Iterator[Item]:
    """The documented definitions: exported ones, or all of a file without exports that is no TypeScript."""
    root = tree(text, grammar)
    place = _Place(text.split("\n"), file, grammar, project)
    listed = {text_of(name) for node in children(root, "export_statement") for name in _listed(node)}
    is_module = any(True for _ in children(root, "export_statement")) or grammar != "javascript"
    for node in root.named_children:
        inner = node
        if node.type in ("export_statement", "ambient_declaration"):
            inner = field(node, "declaration") or next(iter(node.named_children), node)
        is_exported = inner is not node or not is_module
        yield from place.definition(inner, node, is_exported, listed)


def _listed(node: Node) -> Iterator[Node]:
    """The names in `export {a, b as c}`, as they are called in the file."""
    for clause in children(node, "export_clause"):
        for specifier in children(clause, "export_specifier"):
            yield field(specifier, "name")


class _Place:
    """Makes items of the definitions of one file."""

    def __init__(self, lines: list[str], file: str, grammar: str, project: Project):
        self.lines, self.file, self.grammar, self.project = lines, file, grammar, project
        self.language = "javascript" if grammar == "javascript" else "typescript"

    def definition(self, node: Node, outer: Node, is_exported: bool, listed: set[str]) -> Iterator[Item]:
        """The items of a statement; `outer` is the statement that exports it, or the same."""
        if node.type in _KINDS:
            name, kind, body = text_of(field(node, "name")), _KINDS[node.type], field(node, "body")
        elif node.type in ("lexical_declaration", "variable_declaration"):
            declared = next(children(node, "variable_declarator"), None)
            value = field(declared, "value") if declared is not None else None
            if declared is None or value is None or value.type not in _FUNCTIONS:
                return
            name, kind, body = text_of(field(declared, "name")), "function", field(value, "body")
        else:
            return
        if not name:
            return
        if (not is_exported and name not in listed) or name.startswith("_"):
            self.project.left_out["private"] += 1
            return
        shown = body if kind in ("function", "class") else None
        yield from self.item(name, kind, node, outer, shown)
        if kind == "class" or node.type == "interface_declaration":
            for child in children(body, *_METHODS):
                method = text_of(field(child, "name"))
                modifiers = [text_of(part) for part in children(child, "accessibility_modifier")]
                if method.startswith(("_", "#", "[", "constructor")) or {"private", "protected"} & set(modifiers):
                    self.project.left_out["private"] += 1
                else:
                    yield from self.item(f"{name}.{method}", "method", child, child, field(child, "body"))

    def item(self, name: str, kind: str, node: Node, outer: Node, body: Node | None) -> Iterator[Item]:
        comments = comments_before(outer, ("decorator",))
        comment = jsdoc.parse(text_of(comments[-1])) if comments else None
        if comment is None or not comment.description:
            self.project.left_out["no documentation"] += 1
            return
        summary = first_sentence(comment.description)
        if comment.is_private or len(summary.split()) < 3:
            why = "private" if comment.is_private else "documentation of fewer than three words"
            self.project.left_out[why] += 1
            return
        if node.has_error:
            self.project.left_out["definition that does not parse"] += 1
            return
        first = comments[-1].start_point.row
        is_block = kind in ("function", "method") and body is not None and body.type == "statement_block"
        yield Item(
            name=name,
            kind=kind,
            language=self.language,
            file=self.file,
            line=line_of(node),
            doc=comment.description + (f"\n\nReturns: {comment.returns}" if comment.returns else ""),
            summary=summary,
            signature=re.sub(r"\s*(?:=>)?\s*$", "", signature(node, body)),
            body=source_lines(self.lines, first, outer.end_point.row) if is_block else "",
            head=source_lines(self.lines, first, body.start_point.row) if is_block and body is not None else "",
            examples=tuple(self._examples(comment, first, name.rpartition(".")[2])),
            parameters=comment.parameters,
        )

    def _examples(self, comment: jsdoc.Comment, first: int, short: str) -> Iterator[Example]:
        for code, line in comment.examples:
            if not is_code(code, self.grammar):
                self.project.left_out["example that does not parse"] += 1
            elif short in code:
                yield Example(code, self.file, first + line + 1)


javascript = partial(extract, grammar="javascript")
typescript = partial(extract, grammar="typescript")
tsx = partial(extract, grammar="tsx")
