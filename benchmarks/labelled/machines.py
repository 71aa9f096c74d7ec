"""Junk that machines write: logs, base64, hex dumps, tables of numbers, minified code."""

import base64
import random
import re
import zlib
from collections.abc import Sequence

_LEVELS = ("INFO", "DEBUG", "WARN", "ERROR", "TRACE", "NOTICE")
_PARTS = (
    "worker",
    "http.server",
    "db.pool",
    "scheduler",
    "kernel",
    "sshd",
    "auth",
    "cache",
    "org.apache.Main",
    "nginx",
)
_SAID = (
    "connection from {ip} port {n} closed",
    "GET /{w}/{n} HTTP/1.1 200 {n}",
    "POST /api/v{d}/{w} 500 {n}ms",
    "task {x} finished in {n} ms",
    "retrying request {x} (attempt {d} of 5)",
    "cache miss for key {w}:{x}",
    "usb {d}-{d}: new high-speed USB device number {d}",
    "Accepted publickey for {w} from {ip} port {n} ssh2",
    "heartbeat ok seq={n} lag={d}",
    "java.lang.NullPointerException at com.example.{w}.Service.run(Service.java:{n})",
    "query took {n} ms: SELECT * FROM {w} WHERE id = {n}",
    "status installed lib{w}:amd64 {d}.{d}.{n}-{d}",
)
_NAMES = ("orders", "users", "images", "login", "session", "report", "items", "search", "alpha", "queue", "token")


def log(rand: random.Random) -> str:
    """A log of one program: 15 to 150 lines in one layout of time, level and source."""
    layout = rand.choice(
        (
            "{date}T{time}Z {level} [{part}] {said}",
            "{date} {time},{milli} {level:5} {part} - {said}",
            "Nov {day:2} {time} host{d} {part}[{pid}]: {said}",
            '{ip} - - [{day:02}/Nov/2023:{time} +0000] "{said}" "-" "Mozilla/5.0"',
            "[{seconds:12.6f}] {part}: {said}",
            '{{"ts": {seconds:.3f}, "level": "{level}", "logger": "{part}", "msg": "{said}"}}',
            "{date} {time} {said}",
        )
    )
    said = rand.sample(_SAID, rand.randint(2, 6))
    seconds, day, pid = rand.uniform(0, 80_000), rand.randint(1, 28), rand.randint(200, 30_000)
    lines = []
    for _ in range(rand.randint(15, 150)):
        seconds += rand.expovariate(1 / 3)
        clock = int(seconds) % 86_400
        lines.append(
            layout.format(
                date=f"2023-11-{day:02}",
                time=f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}",
                milli=rand.randint(100, 999),
                level=rand.choice(_LEVELS),
                part=rand.choice(_PARTS),
                said=_filled(rand, rand.choice(said)),
                day=day,
                d=rand.randint(1, 9),
                pid=pid,
                ip=_address(rand),
                seconds=seconds,
            )
        )
    return "\n".join(lines)


def base64_of(rand: random.Random, data: bytes) -> str:
    """Base64 of a file: bare, in lines of 76 or 64, as a data URL, in a PEM-like block or with a sentence before it."""
    start = rand.randrange(max(1, len(data) - 400))
    packed = data[start : start + rand.randint(300, 4000)]
    if rand.random() < 0.5:
        packed = zlib.compress(packed)
    coded = base64.b64encode(packed).decode()
    width = rand.choice((0, 64, 76))
    body = "\n".join(coded[at : at + width] for at in range(0, len(coded), width)) if width else coded
    return rand.choice(
        (
            "{}",
            "{}",
            "data:image/png;base64,{}",
            "-----BEGIN DATA-----\n{}\n-----END DATA-----",
            "The attachment follows.\n\n{}",
            'Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="a.bin"\n\n{}',
        )
    ).format(body)


def hex_dump(rand: random.Random, data: bytes) -> str:
    """Bytes of a file as `xxd`, `hexdump -C` or `od` show them, or as one run of hexadecimal digits."""
    start = rand.randrange(max(1, len(data) - 400))
    data, style = data[start : start + rand.randint(200, 2500)], rand.randrange(4)
    if style == 3:
        return data.hex()
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        if style == 0:
            lines.append(f"{at:08x}: {row.hex(' ', 2):39}  {shown}")
        elif style == 1:
            lines.append(f"{at:08x}  {row.hex(' '):47}  |{shown}|")
        else:
            lines.append(f"{at:07o} " + " ".join(f"{byte:03o}" for byte in row))
    return "\n".join(lines)


def numbers(rand: random.Random) -> str:
    """A table of numbers with few or no words: separated by tabs, commas, bars or blanks."""
    columns, separator = rand.randint(3, 12), rand.choice(("\t", ",", " | ", "  ", ";"))
    shapes = [rand.choice(("{:.2f}", "{:d}", "{:.5f}", "{:+.1e}", "{:.0%}", "-")) for _ in range(columns)]
    lines = []
    if rand.random() < 0.5:
        lines.append(separator.join(f"{rand.choice('xyzabc')}{column}" for column in range(columns)))
    for row in range(rand.randint(15, 120)):
        cells = [
            shape.format(rand.randint(0, 9999) if "d" in shape else rand.gauss(0, 10) * 10 ** rand.randint(-1, 3))
            for shape in shapes
        ]
        lines.append(separator.join([str(row), *cells]))
    return "\n".join(lines)


def minified(rand: random.Random, codes: Sequence[str], packed: Sequence[str]) -> str:
    """Source code with braces as packers leave it, without comments and line ends, names shortened; or packed files."""
    if packed and rand.random() < 0.5:
        whole = rand.choice(packed)
        start = rand.randrange(max(1, len(whole) - 1500))
        return whole[start : start + rand.randint(1500, 8000)]
    code = rand.choice(codes)
    short: dict[str, str] = {}

    def shortened(found: re.Match[str]) -> str:
        name = found[0]
        if name not in short:
            count = len(short)
            short[name] = ("" if count < 26 else chr(97 + count // 26 % 26)) + chr(97 + count % 26)
        return short[name]

    code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", code)[: rand.randint(1500, 8000)]
    code = re.sub(r"\b(?!function|return|var|if|else|for|while|this|new)[A-Za-z_]\w{2,}\b", shortened, code)
    code = re.sub(r"\s*([^\w\s])\s*", r"\1", code)
    return f"!function(e,t){{'use strict';{code}}}(this,function(){{return {len(code)}}});"


def _filled(rand: random.Random, said: str) -> str:
    values = {"ip": _address(rand), "x": f"{rand.getrandbits(48):012x}", "w": rand.choice(_NAMES)}
    return said.format(n=rand.randint(10, 65_000), d=rand.randint(1, 9), **values)


def _address(rand: random.Random) -> str:
    return ".".join(str(rand.randint(1, 254)) for _ in range(4))
