"""The page of the museum is made from the exhibits."""

from museum import page


def test_the_page_is_what_the_exhibits_say():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run python tests/museum/page.py"


def test_there_are_at_least_25_exhibits_each_with_a_source():
    from museum.test_museum import EXHIBITS

    assert len(EXHIBITS) >= 25
    for exhibit in EXHIBITS.values():
        for source in exhibit.source.split():
            project, _, number = source.partition("#")
            assert "/" in project
            assert number.isdigit()
