"""Topics of texts by cheap clustering: TF-IDF of words, or of pairs of characters where words have no spaces between
them, reduced by a random projection (Halko et al. 2011), and k-means with k-means++ (Arthur and Vassilvitskii 2007)."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PIECE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\\W\\d_\u3040-\u30ff\u3400-\u9fff]{2,}")
_COMMON = (
    "about all also am an and are as at be been but by can could did do does for from had has have he her him his how "
    "if in into is it its me more my no not of on one or our she should so some such than that the their them then "
    "there these they this those to up us was we were what when where which who will with would you your"
)
"""English words that say nothing about a topic. Of other languages only those in most texts are left out."""
_TERMS, _DIMENSIONS, _ROUNDS, _STARTS = 3000, 50, 30, 4
_LEAST_ROWS, _ROWS_PER_TOPIC = 24, 8
_WORDS_SHOWN, _EXAMPLE = 6, 240
_LEAST_SHARE, _MOST_SHARE = 0.002, 0.5
"""Terms in fewer or more of the texts say little about a topic: they are names, or words such as `the`."""
Array = NDArray[np.float32]


def topics(texts: Sequence[tuple[str, str]], count: int, seed: int) -> list[dict[str, Any]]:
    """Clusters of (source, text), the largest first: its share, its terms, and the text nearest to its centre.

    Texts without a term are in none. Fewer than `count` for few texts, and none for fewer than 24.
    """
    count = min(count, len(texts) // _ROWS_PER_TOPIC)
    if count < 2 or len(texts) < _LEAST_ROWS:
        return []
    weighted, terms = _tfidf([text for _, text in texts])
    has_terms = np.flatnonzero(weighted.any(axis=1))
    weighted = weighted[has_terms]
    if len(weighted) < _LEAST_ROWS:
        return []
    count = min(count, len(terms))
    random = np.random.Generator(np.random.PCG64(seed))
    points = _unit(_projected(weighted, random))
    labels, centres = min((_clustered(points, count, random) for _ in range(_STARTS)), key=lambda found: found[2])[:2]
    return _described(
        len(texts), weighted, terms, points, labels, centres, [texts[place] for place in has_terms.tolist()]
    )


def words(text: str) -> list[str]:
    """Words in lower case; of a run of Chinese or Japanese characters every two neighbours."""
    found = []
    for piece in _PIECE.findall(text.casefold()):
        is_run = piece[0] >= "\u3040" and not "\uac00" <= piece[0] <= "\ud7a3"
        found += [piece[i : i + 2] for i in range(len(piece) - 1)] if is_run else [piece]
    return found


def _tfidf(texts: Sequence[str]) -> tuple[Array, list[str]]:
    """(1 + log tf) · idf of the most frequent terms, rows of length 1 [texts, terms]."""
    counted = [Counter(words(text)) for text in texts]
    rows = Counter(term for counts in counted for term in counts)
    least, most = max(2, round(_LEAST_SHARE * len(texts))), max(3.0, _MOST_SHARE * len(texts))
    common = frozenset(_COMMON.split())
    kept = ((-number, term) for term, number in rows.items() if least <= number <= most and term not in common)
    useful = sorted(kept)[:_TERMS]
    places = {term: place for place, (_, term) in enumerate(useful)}
    matrix = np.zeros((len(texts), len(places)), np.float32)
    for number, counts in enumerate(counted):
        for term, times in counts.items():
            if (place := places.get(term)) is not None:
                matrix[number, place] = 1 + np.log(times)
    matrix *= np.log(len(texts) / np.array([-number for number, _ in useful] or [1], np.float32))
    return _unit(matrix), list(places)


def _unit(matrix: Array) -> Array:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _projected(matrix: Array, random: np.random.Generator) -> Array:
    """The matrix in its main directions, found by a random projection and two rounds of power iteration."""
    width = min(_DIMENSIONS, *matrix.shape)
    basis = random.standard_normal((matrix.shape[1], width), dtype=np.float32)
    for _ in range(3):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    return matrix @ basis


def _clustered(points: Array, count: int, random: np.random.Generator) -> tuple[NDArray[np.int64], Array, float]:
    """Labels, centres, and the sum of squared distances."""
    centres = points[random.integers(len(points), size=1)]
    while len(centres) < count:
        distance = np.maximum(_distances(points, centres).min(axis=1).astype(np.float64), 0)
        total = distance.sum()
        share = distance / total if total > 0 else None
        centres = np.concatenate([centres, points[random.choice(len(points), size=1, p=share)]])
    labels = np.zeros(len(points), np.int64)
    for _ in range(_ROUNDS):
        new = _distances(points, centres).argmin(axis=1)
        if _ and (new == labels).all():
            break
        labels = new
        for cluster in range(count):
            if (labels == cluster).any():
                centres[cluster] = points[labels == cluster].mean(axis=0)
    return labels, centres, float(_distances(points, centres).min(axis=1).sum())


def _distances(points: Array, centres: Array) -> Array:
    """Squared distances [points, centres]."""
    return (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)


def _described(
    sample: int,
    weighted: Array,
    terms: list[str],
    points: Array,
    labels: NDArray[np.int64],
    centres: Array,
    texts: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    everywhere, found = weighted.mean(axis=0), []
    for cluster in range(len(centres)):
        members = np.flatnonzero(labels == cluster)
        if not len(members):
            continue
        lift = weighted[members].mean(axis=0) - everywhere
        best = [
            terms[int(place)] for place in np.argsort(-lift, kind="stable")[:_WORDS_SHOWN].tolist() if lift[place] > 0
        ]
        nearest = int(members[_distances(points[members], centres[[cluster]])[:, 0].argmin()])
        source, text = texts[nearest]
        example = {"source": source, "text": text[:_EXAMPLE]}
        found.append(
            {"rows": len(members), "share": round(len(members) / sample, 4), "terms": best, "example": example}
        )
    return sorted(found, key=lambda topic: -topic["rows"])
