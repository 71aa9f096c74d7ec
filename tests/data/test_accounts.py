"""The books of a preparation."""

import pytest

from burnish.data.accounts import Accounts


def test_books_in_which_a_row_is_missing_do_not_balance():
    accounts = Accounts(read=5, kept=2, quarantined=1)
    accounts.dropped["duplicate"] = 2
    accounts.balance()
    accounts.read += 1
    with pytest.raises(AssertionError, match="6 rows were read, but 5"):
        accounts.balance()
