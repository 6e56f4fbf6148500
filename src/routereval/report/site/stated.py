"""The line below every table of the pages and the columns in the CSVs: protocol, encoder, seeds, data and version."""

from __future__ import annotations

from collections.abc import Iterable

from routereval.report.printable import printable
from routereval.report.provenance import UNKNOWN, Origin, Provenance, provenance_of

STATED = ("encoders", "seeds", "data_hashes", "versions")
"""The columns that say where a row of several benchmarks comes from; the protocol is always one."""


def stated(origins: Iterable[Origin]) -> str:
    """Where a table's runs come from, a sentence on a line of its own for all that are alike but for their data.

    The sound protocol comes first, as everywhere on the pages.
    """
    ordered = sorted(set(origins), key=lambda one: (one.protocol != "strict", one))
    return as_lines(provenance_of(ordered))


def as_lines(found: Iterable[Provenance]) -> str:
    """The same of what is known to be alike."""
    # A line break in a name would make a line of its own, as if it were said of other runs.
    sentences = (printable(one.sentence()) for one in found)
    return "\n".join(f"{text[:1].upper()}{text[1:]}." for text in sentences)


def stated_cells(origins: Iterable[Origin]) -> list[str]:
    """The cells of the columns ``STATED``; several values are apart by spaces, each hash follows its benchmark."""
    own = set(origins)
    data = sorted({(one.benchmark, one.data_hash or UNKNOWN) for one in own})
    return [
        " ".join(sorted({one.encoder for one in own})),
        seeds_cell(one.seed for one in own),
        "; ".join(f"{name} {hash_}" for name, hash_ in data),
        versions_cell(one.version for one in own),
    ]


def seeds_cell(seeds: Iterable[int]) -> str:
    """Seeds in a cell of a CSV."""
    return " ".join(map(str, sorted(set(seeds))))


def versions_cell(versions: Iterable[str]) -> str:
    """Versions in a cell of a CSV."""
    return " ".join(sorted(set(versions)))
