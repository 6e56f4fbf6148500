"""Names and data within a page: text that stays text, JSON that nothing in it can get out of."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from markupsafe import Markup, escape

# json.dumps writes everything outside ASCII as an escape, U+2028 and U+2029 among it. Without "<" there is no end of a
# script and no comment.
_ACTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}


def script_json(value: Any) -> Markup:
    """A value as JSON for a ``<script type="application/json">``; floats that are not numbers become null."""
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    for sign, written in _ACTS.items():
        text = text.replace(sign, written)
    return Markup(text)


def breakable(text: str) -> Markup:
    """A name, escaped, that a narrow column may break where it has a sign."""
    return Markup("<wbr>").join(escape(piece) for piece in re.split(r"(?<=[:,/_=.])(?=\w)", text))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        # Most lists are of whole numbers, and long.
        return [v if type(v) is int else _finite(v) for v in value]
    return value
