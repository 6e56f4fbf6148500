"""Names of files: what anybody calls a router or a benchmark, made harmless, short and different from every other."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 40


def slug(*names: str) -> str:
    """Lower-case ASCII letters, digits and hyphens, then eight digits of a hash of the names as they are.

    Different names give different slugs, also where they differ by capitals or signs only; no name leaves the folder.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", names[0].lower())[:_LONGEST].strip("-") or "x"
    return f"{readable}-{hashlib.sha256(chr(0).join(names).encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
