"""Names and data within a page: text that stays text, JSON that nothing in it can get out of.

Signs that act on the text around them (marks that turn the line, controls) are written out wherever a page shows text.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from markupsafe import Markup, escape

from routereval.report.printable import printable

# json.dumps writes everything outside ASCII as an escape, U+2028 and U+2029 among it. Without "<" there is no end of a
# script and no comment.
_ACTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}


def script_json(value: Any) -> Markup:
    """A value as JSON for a ``<script type="application/json">``, to be shown by it.

    Floats that are not numbers become null, and texts are printable; what is called ``stated`` keeps its lines.
    """
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    for sign, written in _ACTS.items():
        text = text.replace(sign, written)
    return Markup(text)


def breakable(text: str) -> Markup:
    """A name, escaped, that a narrow column may break where it has a sign."""
    return Markup("<wbr>").join(escape(piece) for piece in re.split(r"(?<=[:,/_=.])(?=\w)", printable(text)))


def lines(text: str) -> Markup:
    """A text of several lines, escaped, that stay lines."""
    return escape(printable(text, keep="\n"))


def shown(value: Any) -> Any:
    """What a template writes: one line of text, unless it is made for a page already."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _finite(value: Any, keep: str = "") -> Any:
    if isinstance(value, str):
        return printable(value, keep)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v, "\n" if k == "stated" else "") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        # Most lists are of whole numbers, and long.
        return [v if type(v) is int else _finite(v) for v in value]
    return value
