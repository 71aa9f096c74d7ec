"""What a format makes of a row, in a form that a table of expectations can hold whole."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from burnish.data.formats import FORMATS
from burnish.data.record import RowError


@pytest.fixture
def content() -> Callable[..., dict[str, Any]]:
    """The canonical row of a raw one without `id` and `source`, with its remarks where it has some."""

    def content(format: str, raw: dict[str, Any], roles: Mapping[str, str] | None = None) -> dict[str, Any]:
        row, remarks = FORMATS[format].read(raw, "x:1", roles)
        assert row.pop("source") == "x:1"
        assert len(row.pop("id")) == 16
        return row | ({"remarks": remarks} if remarks else {})

    return content


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Why a row is refused, as `field: reason`."""

    def refusal(format: str, raw: dict[str, Any]) -> str:
        with pytest.raises(RowError) as caught:
            FORMATS[format].read(raw, "x:1")
        return f"{caught.value.field}: {caught.value.reason}"

    return refusal
