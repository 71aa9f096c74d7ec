"""The tokenizer of the built-in model, loaded once."""

import pytest

from scripted import Served, pocket_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return pocket_tokenizer()


@pytest.fixture
def served(tmp_path, tokenizer):
    """Makes an app on a scripted engine: `served(script=…, slots=…, keys_file=…)`."""
    return lambda **how: Served(tmp_path, tokenizer, **how)
