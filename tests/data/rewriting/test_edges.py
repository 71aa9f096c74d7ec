"""Boilerplate goes from the edges of a document, and nothing from its middle."""

from burnish.data.rewriting.edges import BoilerplateLines

BODY = "The river rises in the hills.\nHome\nIt flows south, and we read more about it in the next chapter."


def test_menus_and_footers_go_and_the_middle_stays():
    page = f"Home\nAbout us\nContact\n\n{BODY}\n\nCopyright © 2023 Acme. All rights reserved.\nPrivacy Policy\n"
    assert BoilerplateLines(40)(page) == BODY
    page = "首页\n关于我们\n\n这条河发源于山丘。\n版权所有 © 2023"
    assert BoilerplateLines(40)(page) == "这条河发源于山丘。"


def test_a_text_without_boilerplate_and_one_of_nothing_else_stay():
    for text in (BODY, "Home\nAbout us", "", "\n\n", "one line", f"\n\n{BODY}\n"):
        assert BoilerplateLines(40)(text) is text


def test_long_lines_stay():
    text = "word " * 30 + "all rights reserved\nThe river rises."
    assert BoilerplateLines(20)(text) == text
