"""Pages of HTML become their text; texts that mention a tag stay as they are."""

import pytest

from burnish.data.rewriting.html import Html, to_text

PAGE = """<!DOCTYPE html>
<html><head><title>Rivers</title><style>p { color: red }</style><script>if (a < b) alert("x")</script></head>
<body><h1>Rivers &amp; hills</h1><p>One <b>long</b>
river.<br>It flows.</p><!-- no text --><ul><li>one</li><li><p>two</p></li></ul>
<table><tr><th>name</th><th>km</th></tr><tr><td>Po</td><td>652</td></tr></table>
<pre>for x in y:
    print(x)
</pre><p>你好，&#19990;界&hellip;</p></body></html>"""
TEXT = """Rivers & hills

One long river.
It flows.

- one
- two

name | km
Po | 652

for x in y:
    print(x)

你好，世界…"""


def test_the_text_of_a_page_keeps_paragraphs_lists_tables_and_code():
    assert Html()(PAGE) == TEXT
    assert Html("always")(PAGE) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "Use the <div> tag, and close it with </div>. Not <p>.",
        "if a < b and c > d:\n    pass",
        "#include <stdio.h>\nint main() { return 0; }",
        "<?xml version='1.0'?><note><to>Ann</to></note>",
        "How do I center <p>this</p> in <body>?",
        "<p>An answer begins so, and goes on as Markdown</p> with text behind.",
        "List<String> names = new ArrayList<>();",
        "import React from 'react';\nexport const A = () => <div><p>x</p><p>y</p><p>z</p></div>",
        "",
    ],
)
def test_texts_that_mention_tags_are_no_pages(text):
    assert Html()(text) is text


def test_parts_of_pages_are_read_too_and_always_reads_every_tag():
    assert Html()("<div><p>One.</p><p>Two.</p></div>") == "One.\n\nTwo."
    assert Html("always")("Use <b>this</b> one") == "Use this one"
    assert Html("always")("a < b > c") == "a < b > c"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<body>a<script>b</script>c<style>d</style><noscript>e</noscript>f</body>", "acf"),
        ("<body><p>unclosed <b>tags<p>next", "unclosed tags\n\nnext"),
        ("<body>&lt;b&gt; &copy; &nbsp;x &unknown;</body>", "<b> © \u00a0x &unknown;"),
        ("<body>a <span> b</span> <i> c</i></body>", "a b c"),
        ("<body><a href='x'>link</a>, <img alt='no'>text</body>", "link, text"),
        ("<html></html>", ""),
    ],
)
def test_pages_are_read_as_browsers_do(page, text):
    assert to_text(page) == text
