"""Text of somebody else's on a terminal: what would move the cursor, colour or turn the line around is written out."""

from __future__ import annotations

import re

# Controls (ESC among them), line and paragraph separators, marks that change the direction of writing, what has no
# width, and halves of surrogate pairs. The joiners of Persian, Hindi and emoji stay.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that acts on a terminal as its escape: ``\x1b``, ``\n``, ``\u202e``.

    Parameters
    ----------
    keep : characters that stay as they are: ``"\n"`` where lines are meant.
    """
    return _ACTS.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)
