"""Rows of pairs, and files of them that are uploaded."""

import json

from burnish.studio.datasets import upload


def pair(number):
    return {"prompt": f"question {number} " + "x" * 300, "response": f"answer {number}"}


def lines(numbers, value=pair):
    return b"".join(json.dumps(value(number)).encode() + b"\n" for number in numbers)


def put(workspace, name, content):
    return upload(name, [content], workspace=workspace.root)["name"]
