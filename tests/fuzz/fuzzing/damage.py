"""Bytes and text changed at random: what a bad disk, a bad line or a bad program makes of a file."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

NUMBERS = (
    *("0", "-0", "1", "-1", "2", "0.5", "1.5", "1e308", "1e309", "-1e309", "1e-320", "nan", "NaN", "inf", "-inf"),
    *("Infinity", "-Infinity", "null", "None", "true", "True", "[]", "{}", '""', "''", "()", "0x10", "1_0", "٣"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809", "1" * 400),
    *("1" * 5000, "0." + "9" * 400, "1e1000000", "2026-02-30", "1970-01-01T00:00:00Z"),
)
"""Numbers at the edges, and what is none."""

NASTY = (
    *(
        "\0",
        "\x1b[31m",
        "\x1b]0;t\x07",
        "\r",
        "\n",
        "\r\n",
        "\t",
        "\x0b",
        "\x85",
        "\u2028",
        "\u202e",
        "\u2066",
        "\ufeff",
    ),
    *("\ud800", "é", "e\u0301", "\U0001f600", "\U0010ffff", "\uffff", "ß", "İ", "/", "\\", "..", "../../x", "/etc/x"),
    *(
        "C:\\x",
        "%s",
        "{0}",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        "`",
        "$(x)",
        ";",
        "|",
        "*",
        "?",
        "~",
        "=",
        ",",
        ":",
    ),
    *("__class__", "__reduce__", "a" * 300, "é" * 300, "", " ", "-", "<script>", "#", "@", "&", "\\u0000", "\\ud800"),
)
"""Strings that programs trip over."""

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**12)


def encoded(text: str) -> bytes:
    """A text as bytes, surrogates and all."""
    return text.encode("utf-8", "surrogatepass")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to four things changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_BYTES)(data, rng)
    return data


def retyped(text: str, rng: random.Random) -> str:
    """A text with one to four words, cells or lines changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        text = rng.choice(_TEXT)(text, rng)
    return text


def _span(length: int, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, length)
    size = rng.choice((1, 2, 4, 8, rng.randint(0, 64), rng.randint(0, length)))
    return start, min(length, start + size)


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(len(data), rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(len(data), rng)
    at = rng.randint(0, len(data))
    return data[:at] + data[start:end] * rng.choice((1, 1, 2, 100)) + data[at:]


def _noise(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(len(data), rng)
    return data[:start] + rng.randbytes(rng.randint(1, 8)) + data[rng.choice((start, end)) :]


def _edge(data: bytes, rng: random.Random) -> bytes:
    """A number at an edge over whatever stands there, in any width and order."""
    width, code = rng.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    raw = struct.pack(rng.choice("<>") + code, rng.choice(_EDGES) & (1 << 8 * width) - 1)
    at = rng.randint(0, max(0, len(data) - width))
    return data[:at] + raw + data[at + width :]


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _remove,
    _repeat,
    _noise,
    _edge,
    _edge,
)

_TOKEN = re.compile(r"\w+|\W")


def _token(text: str, rng: random.Random) -> str:
    tokens = _TOKEN.findall(text)
    if not tokens:
        return rng.choice(NASTY)
    at = rng.randrange(len(tokens))
    other = rng.choice(tokens)
    tokens[at] = rng.choice(
        (rng.choice(NUMBERS), rng.choice(NASTY), "", other, tokens[at] + other, tokens[at] * rng.choice((2, 3, 50)))
    )
    return "".join(tokens)


def _insert(text: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(rng.choice((NUMBERS, NASTY))) + text[at:]


def _line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines[at] = ""
        case 1:
            lines.insert(at, lines[other] * rng.choice((1, 1, 3)))
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at].rstrip("\r\n")
        case _:
            lines[at] = retyped(lines[at], rng) if len(lines) > 1 else lines[at] * 2
    return "".join(lines)


def _piece(text: str, rng: random.Random) -> str:
    """A piece between two commas once more, somewhere else: a key, a field, a cell twice."""
    pieces = text.split(",")
    pieces.insert(rng.randint(0, len(pieces)), rng.choice(pieces))
    return ",".join(pieces)


def _nest(text: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    opening, closing = rng.choice((("[", "]"), ("{", "}"), ('{"a":', "}"), ("(", ")"), ('"', '"')))
    depth = rng.choice((1, 2, 50, 2000, 20000))
    return text[:at] + opening * depth + rng.choice(("1", "", text[at:])) + closing * rng.choice((depth, depth, 0))


_TEXT: tuple[Callable[[str, random.Random], str], ...] = (_token, _token, _token, _insert, _line, _line, _piece, _nest)
