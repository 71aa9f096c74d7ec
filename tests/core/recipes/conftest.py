"""What the tests of recipes share."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.core.errors import AskError
from burnish.core.recipes.validation import make_spec


@pytest.fixture
def refused() -> Callable[..., AskError]:
    """`refused(spec_type, values)`: the error of a spec with these values."""

    def error_of(spec_type: Any, values: Any) -> AskError:
        with pytest.raises(AskError) as caught:
            make_spec(spec_type, values, lambda _: "")
        return caught.value

    return error_of
