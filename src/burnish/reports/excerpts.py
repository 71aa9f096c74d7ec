"""Long texts cut to what a cell or a label holds."""

CELL, LABEL = 400, 28
"""Characters of a text in a table, and of a label in a figure."""


def beginning(text: str, most: int = CELL) -> str:
    """The first characters, with an ellipsis if there are more than `most`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def ending(text: str, most: int = CELL) -> str:
    """The last characters: the question of a long prompt is at its end."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
