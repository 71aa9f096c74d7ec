"""Personal data is replaced, what only looks like it stays; numbers with a checksum only where it holds."""

import pytest

from burnish.data.rewriting.table import rewrites
from burnish.specs.data import RewritingSpec


def masked(text, **settings):
    spec = RewritingSpec.model_validate({"html": None, "normalize": None, "pii": settings})
    for rewrite in rewrites(spec):
        text = rewrite(text)
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ann.lee+x@mail.example.co.uk, please", "Write to [EMAIL], please"),
        ("请联系 wang@example.cn。", "请联系 [EMAIL]。"),
        ("联系wang@example.cn吧", "联系[EMAIL]吧"),
        ("Call +49 30 1234567 or (213) 484-0480.", "Call [PHONE] or [PHONE]."),
        ("Call 213-484-0480!", "Call [PHONE]!"),
        ("1-213-484-0480, 1 (213) 484-0480, 1.213.484.0480", "[PHONE], [PHONE], [PHONE]"),
        ("o'brien@example.ie, 'ann@example.com'", "[EMAIL], '[EMAIL]'"),
        ("host/8.8.4.4 and https://x.org/Route/8.8.4.4", "host/[IP] and https://x.org/Route/[IP]"),
        ("手机13812345678，微信同号", "手机[PHONE]，微信同号"),
        ("+86 138 1234 5678", "[PHONE]"),
        ("server 8.8.4.4 and 2001:4860:4860::8888 answered", "server [IP] and [IP] answered"),
        ("http://8.8.8.8:80/x", "http://[IP]:80/x"),
        ("IBAN DE89 3704 0044 0532 0130 00 of Ann", "IBAN [IBAN] of Ann"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("card 4111 1111 1111 1111, 5500-0000-0000-0004", "card [CARD], [CARD]"),
        ("DE89370400440532013000 GB82WEST12345698765432", "[IBAN] [IBAN]"),
        ("NL91ABNA0417164300 FR1420041010050500013M02606", "[IBAN] [IBAN]"),
        ("DE89370400440532013001 GB82 WEST 1234 5698 7654 32", "DE89370400440532013001 [IBAN]"),
        ("AB12 CD34 DE89370400440532013000 EF", "AB12 CD34 [IBAN] EF"),
        ("4111111111111111 123", "[CARD] 123"),
        ("4111 1111 1111 1111 12/27 and 3782-822463-10005 1234", "[CARD] 12/27 and [CARD] 1234"),
        ("1 4111 1111 1111 1111", "1 [CARD]"),
        ("2024 3782 822463 10005", "2024 [CARD]"),
        ("4111 1111 1111 1111 5500 0000 0000 0004", "[CARD] [CARD]"),
        ("身份证号11010519491231002X。", "身份证号[ID]。"),
        ("key " + "ghp_" + "a1B2" * 9, "key [KEY]"),
        ("AWS " + "AKIA" + "ABCDEFGH12345678" + ";", "AWS [KEY];"),
        ("-----BEGIN RSA PRIVATE " + "KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nend", "[KEY]\nend"),
    ],
)
def test_personal_data_is_replaced(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4 and v10.0.1.2, numpy==1.2.3.4",
        "Mozilla/5.0 (X11) Chrome/108.0.0.0 Safari/537.36",
        "172.16.0.1, 10.1.2.3, 127.0.0.1, ::1, fe80::1, 999.1.1.1, 1.2.3",
        "12:30:45 and a::b::c and std::vector",
        "git@github.com:owner/name.git and @decorator, a@b",
        "4111 1111 1111 1112 is no card; nor is 0000 0000 0000 0000, nor 1234567890123456",
        "DE88 3704 0044 0532 0130 00 is no account",
        "2024 4111 1111 1111 1111 2025 2026",
        "110105194912310021 is no identity number",
        "On 2023-11-05, 1,234,567,890 people; order 20231105123456; 3.14159265358979",
        "timestamp 1700000000000 and 13812345678901, id 138123456789",
        "sk-learn, hf_hub, xoxo, eyJust, AKIA",
        "1 + 2 - 3 = 0, 555-1234",
        "0x1234567890abcdef, 550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert masked(text) == text


def test_kinds_placeholders_and_private_addresses_are_settings():
    text = "ann@example.com from 172.16.0.1"
    assert masked(text, kinds=["ip"], private_addresses=True) == "ann@example.com from [IP]"
    assert masked(text, kinds=["email"], placeholders={"email": "<mail>"}) == "<mail> from 172.16.0.1"
    with pytest.raises(ValueError, match="placeholders of kinds that are not replaced: ip"):
        masked(text, kinds=["email"], placeholders={"ip": "x"})


def test_masking_again_changes_nothing():
    text = "ann@example.com, +49 30 1234567, 8.8.8.8, 4111111111111111"
    assert masked(masked(text)) == masked(text) == "[EMAIL], [PHONE], [IP], [CARD]"
