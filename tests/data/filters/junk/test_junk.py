"""Junk of each kind is dropped under its reason, in several scripts, and texts that are near it are kept."""

import base64
import random

import pytest

from filtering import all_reasons, reasons

ON = {"junk": {}, "boilerplate": {}}
RANDOM = random.Random(1)
BYTES = RANDOM.randbytes(900)
ENGLISH = "The river rises in the hills above the town and flows south for forty miles. "
CHINESE = "这条河发源于城镇上方的山丘，向南流淌四十英里。"
CODE = "function add(a, b) {\n    return a + b;\n}\n\nfunction subtract(a, b) {\n    return a - b;\n}\n" * 3
LOG = "\n".join(
    f"2023-11-05 10:11:{second} INFO worker-3 - task {second} finished in 12 ms" for second in range(10, 40)
)
JUNK = {
    "base64": (base64.b64encode(BYTES).decode(), "mostly base64"),
    "base64 in lines": (base64.encodebytes(BYTES).decode(), "mostly base64"),
    "hex": (
        "\n".join(f"{at:08x}: {BYTES[at : at + 16].hex(' ', 2)}" for at in range(0, 800, 16)),
        "mostly hexadecimal",
    ),
    "hex in one": (BYTES.hex(), "mostly hexadecimal"),
    "log": (LOG, "mostly lines of a log"),
    "syslog": (
        "\n".join(f"Nov  5 10:11:{n} host sshd[{n}]: closed {n}" for n in range(10, 40)),
        "mostly lines of a log",
    ),
    "access log": (
        "\n".join(f'10.0.0.{n} - - [05/Nov/2023:10:11:{n} +0000] "GET / HTTP/1.1" 200 {n}' for n in range(10, 30)),
        "mostly lines of a log",
    ),
    "minified": (CODE.replace(" ", "").replace("\n", "") * 3, "minified code"),
    "numbers": ("\n".join(f"{n}\t{n * 7}\t{n / 3:.3f}" for n in range(100, 160)), "mostly numbers"),
    "Latin-1": ("Größe, Übung, ähnlich und schön für Löwen. ".encode().decode("latin-1"), "wrong encoding"),
    "cp1252": ("“Größe”, ‘Übung’ – ähnlich…".encode().decode("cp1252", "replace"), "wrong encoding"),
    "Chinese as Latin-1": (CHINESE.encode().decode("latin-1"), "wrong encoding"),
    "Chinese as GBK": ("中文的文本是这样的，" * 3 + "一").encode().decode("gb18030", "replace"),
    "replaced": ("Gr\ufffd\ufffde und \ufffdbung f\ufffdr alle", "wrong encoding"),
    "keywords": (
        "cheap shoes, buy shoes online, best shoes, discount shoes, shoes sale, shoes outlet, " * 5,
        "stuffed with keywords",
    ),
    "Chinese keywords": ("贷款公司,贷款平台,贷款价格,贷款哪家好,贷款官网,贷款排行榜," * 8, "stuffed with keywords"),
    "cookies": (
        "This website uses cookies to improve your experience.\nAccept all cookies\nPrivacy Policy | Terms of Use",
        "mostly boilerplate of a web site",
    ),
    "menu": (
        "Home\nAbout us\nContact\nNews\nCopyright © 2023. All rights reserved.",
        "mostly boilerplate of a web site",
    ),
    "Chinese menu": ("首页 | 关于我们 | 联系我们 | 新闻中心\n版权所有 © 2023", "mostly boilerplate of a web site"),
    "German notice": (
        "Wir verwenden Cookies.\nAlle Cookies akzeptieren\nImpressum",
        "mostly boilerplate of a web site",
    ),
    "JavaScript": (
        "JavaScript is disabled in your browser.\nPlease enable JavaScript to continue.",
        "mostly boilerplate of a web site",
    ),
    "lorem": (
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
        "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation.",
        "filler text (lorem ipsum)",
    ),
}
JUNK["Chinese as GBK"] = (JUNK["Chinese as GBK"], "wrong encoding")
NEAR = {
    "a key in a text": ENGLISH * 4 + base64.b64encode(BYTES[:60]).decode(),
    "long links": "\n".join(
        f"see example.com/a/very/long/path/to/some/page/of/documentation/number/{n}" for n in range(9)
    ),
    "checksums in a text": ENGLISH * 2 + BYTES[:20].hex(),
    "hexadecimal words": "A bad decade: the facade of a cafe faded, dead beef added. " * 2,
    "a log in a text": ENGLISH * 5 + "\n" + "\n".join(LOG.splitlines()[:3]),
    "a chronicle": "\n".join(
        f"{year}-{year + 1}: the river floods the meadows of the town" for year in range(1420, 1440)
    ),
    "code": CODE,
    "one long line": ENGLISH * 20,
    "a table with words": "\n".join(
        f"{fruit}\t{n}" for n, fruit in enumerate(["apple", "pear", "plum", "fig", "lime"] * 4)
    ),
    "years": "In 1420, 1500 and 1616 the river flooded 3 towns, 12 villages and 40 farms.",
    "French": "Elle a dit : « Où est l’hôtel ? » — Là-bas, près de l’Église Saint-Étienne, à côté du café.",
    "Vietnamese": "Con sông bắt nguồn từ những ngọn đồi phía trên thị trấn và chảy về phía nam bốn mươi dặm.",
    "Chinese": CHINESE * 5,
    "Japanese": "この川は町の上の丘から流れ出し、南へ四十マイル流れています。",
    "emoji": "We won 🎉🎉🎉 ❤️",
    "one topic": "Shoes protect the foot. " + ENGLISH * 5,
    "about cookies": "A site may say: we use cookies. " + ENGLISH * 5 + "\nThe law asks for it. " + ENGLISH * 2,
    "about a home": "Home\n" + ENGLISH * 3,
    "Latin": "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae, aliam Aquitani, tertiam qui ipsorum "
    "lingua Celtae, nostra Galli appellantur. Hi omnes lingua, institutis, legibus inter se differunt.",
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_dropped(name):
    text, reason = JUNK[name]
    assert reason in reasons(text, **ON)


@pytest.mark.parametrize("name", NEAR)
def test_what_is_near_junk_is_kept(name):
    assert reasons(NEAR[name], **ON) == []


def test_a_text_is_judged_alike_in_any_block():
    texts = [*(text for text, _ in JUNK.values()), *NEAR.values()]
    RANDOM.shuffle(texts)
    assert all_reasons(texts, **ON) == [reasons(text, **ON) for text in texts]


@pytest.mark.parametrize("rule", ["encoded", "logs", "numbers", "mojibake", "stuffing"])
def test_each_rule_can_be_switched_off(rule):
    reason = {
        "encoded": ("base64", "hex"),
        "logs": ("log",),
        "numbers": ("numbers",),
        "mojibake": ("Latin-1",),
        "stuffing": ("keywords",),
    }[rule]
    for name in reason:
        text, why = JUNK[name]
        assert why not in reasons(text, junk={rule: None})
