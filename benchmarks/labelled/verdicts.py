"""What filters decided on labelled documents: precision and recall of each filter, shares kept of each kind."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelled.document import Document


@dataclass
class Kind:
    documents: int = 0
    removed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Verdicts:
    kinds: dict[tuple[bool, str], Kind]
    """By (is good, kind)."""
    reasons: dict[str, Counter[bool]]
    """By filter: how many documents it refuses, alone or beside others, by whether they are good."""

    def kept(self) -> float:
        """The share of good documents that is kept; 0 to 1."""
        good = [kind for (is_good, _), kind in self.kinds.items() if is_good]
        return 1 - _share(sum(kind.removed for kind in good), sum(kind.documents for kind in good))

    def recall(self, kinds: Sequence[str] = ()) -> float:
        """The share of junk documents that is removed, of these kinds or of all; 0 to 1."""
        junk = [of for (good, name), of in self.kinds.items() if not good and (not kinds or name in kinds)]
        return _share(sum(kind.removed for kind in junk), sum(kind.documents for kind in junk))

    def precision(self) -> float:
        """The share of removed documents that is junk; 0 to 1."""
        removed = {True: 0, False: 0}
        for (is_good, _), kind in self.kinds.items():
            removed[is_good] += kind.removed
        return _share(removed[False], sum(removed.values()))

    def tables(self, meant: Mapping[str, Sequence[str]]) -> str:
        """Markdown: good by kind, junk by kind, reasons; `meant` has the kinds of junk that a reason is to find."""
        lines = [f"Good text kept: {self.kept():.1%}. Of what is removed, junk: {self.precision():.1%}. "]
        lines[0] += f"Junk removed: {self.recall():.1%}."
        for is_good, title in ((True, "good text"), (False, "junk")):
            lines += [
                "",
                f"| {title} | documents | {'kept' if is_good else 'removed'} | reasons |",
                "|---|---|---|---|",
            ]
            for (good, name), kind in self.kinds.items():
                if good == is_good:
                    share = _share(kind.removed, kind.documents)
                    why = ", ".join(f"{reason} {count}" for reason, count in kind.reasons.most_common(4))
                    lines.append(f"| {name} | {kind.documents} | {1 - share if good else share:.1%} | {why} |")
        lines += ["", "| filter | junk removed | good removed | precision | recall on the kinds it is for |"]
        lines += ["|---|---|---|---|---|"]
        for reason, counts in sorted(self.reasons.items(), key=lambda item: -item[1][False]):
            junk, good = counts[False], counts[True]
            lines.append(
                f"| {reason} | {junk} | {good} | {_share(junk, junk + good):.1%} | {self._found(reason, meant)} |"
            )
        return "\n".join(lines)

    def _found(self, reason: str, meant: Mapping[str, Sequence[str]]) -> str:
        kinds = [self.kinds[False, name] for name in meant.get(reason, ()) if (False, name) in self.kinds]
        if not kinds:
            return "–"
        share = _share(sum(kind.reasons[reason] for kind in kinds), sum(kind.documents for kind in kinds))
        return f"{share:.1%} ({', '.join(meant[reason])})"

    def as_json(self) -> dict[str, Any]:
        kinds = [
            {"kind": name, "good": good, "documents": kind.documents, "removed": kind.removed, "reasons": kind.reasons}
            for (good, name), kind in self.kinds.items()
        ]
        reasons = {reason: {"junk": of[False], "good": of[True]} for reason, of in self.reasons.items()}
        totals = {"good_kept": self.kept(), "precision": self.precision(), "junk_removed": self.recall()}
        return {**totals, "kinds": kinds, "reasons": reasons}


def judged(documents: Sequence[Document], reasons: Sequence[Sequence[str]]) -> Verdicts:
    """The reasons of a document are `filter: reason` of every filter that refuses it; none means that it is kept."""
    verdicts = Verdicts({}, defaultdict(Counter))
    for document, refused in zip(documents, reasons, strict=True):
        kind = verdicts.kinds.setdefault((document.is_good, document.kind), Kind())
        kind.documents += 1
        kind.removed += bool(refused)
        for name in dict.fromkeys(reason.partition(":")[0] for reason in refused):
            kind.reasons[name] += 1
            verdicts.reasons[name][document.is_good] += 1
    return verdicts


def wrong(documents: Sequence[Document], reasons: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Good documents that were removed and junk that was kept."""
    return [
        {"good": document.is_good, "kind": document.kind, "reasons": list(refused), "text": document.text[:2000]}
        for document, refused in zip(documents, reasons, strict=True)
        if document.is_good == bool(refused)
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
