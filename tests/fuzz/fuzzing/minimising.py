"""A finding cut down to what shows it: fewer files, fewer bytes, the same promise broken in the same place."""

from __future__ import annotations

from collections.abc import Callable

from fuzzing.files import Files

MOST_TRIES = 400


def minimised(files: Files, shows: Callable[[Files], bool]) -> Files:
    """The least that still shows it, as far as a few hundred tries lead.

    Parameters
    ----------
    shows : whether files still show the finding.
    """
    tries = 0

    def still(candidate: Files) -> bool:
        nonlocal tries
        tries += 1
        return tries <= MOST_TRIES and shows(candidate)

    for name in list(files):
        fewer = {other: content for other, content in files.items() if other != name}
        if fewer and still(fewer):
            files = fewer
    for name in list(files):
        step = max(1, len(files[name]) // 2)
        while step >= 1 and tries < MOST_TRIES:
            start = 0
            while start < len(files[name]) and tries < MOST_TRIES:
                content = files[name]
                shorter = files | {name: content[:start] + content[start + step :]}
                if still(shorter):
                    files = shorter
                else:
                    start += step
            step //= 2
    return files
