"""The queue of jobs in a real Chromium: its order by the mouse and by the keyboard, cancel and resume."""

from page_tools import browse, built, chromium, studio, tool


def test_the_order_of_the_queue_is_changed_by_a_drag_and_by_keys(tmp_path):
    built(), chromium(), tool("playwright-core")
    with studio(tmp_path, "--no-worker") as login:
        assert browse("queue.mjs", login) == []
