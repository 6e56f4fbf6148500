"""What stands below a table: by which rules, from which data and versions; what failed, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from routereval import facts
from routereval.protocols import PAPER, PROTOCOLS
from routereval.report.paper_tables import ABSENT, FEW, INCOMPLETE, REFERENCE, Cell, PaperTable, Row
from routereval.report.provenance import Provenance

HASH = 12
"""How many characters of a data hash a table for a paper has."""
LISTED = 6
"""How many of a kind are named before the rest is counted."""
ERRORS = 20
"""How many mistakes of failed runs are told; every cell of theirs says that it failed."""


def provenance(table: PaperTable) -> str:
    """Protocol, encoder, seeds, data and version of everything in a table, in a sentence."""
    data = tuple({one.benchmark: one.data_hash for one in table.across}.items())
    versions = tuple(table.versions.get("routereval", ()))
    return Provenance(table.key.protocol, table.key.encoder, table.seeds, data, versions).sentence(HASH)


def conditions(table: PaperTable) -> str:
    """Protocol and encoder, short enough for a heading."""
    encoder = "no embeddings" if table.key.encoder == "none" else f"{table.key.encoder} embeddings"
    return f"{table.key.protocol} protocol, {encoder}"


def notes_of(table: PaperTable, asides: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """What else a reader should know, a sentence each; marks are left to the formats, which make them.

    Parameters
    ----------
    asides : what the runs say of themselves, each with the scenarios it is said of.
    """
    return (
        *_rules(table),
        *_means(table),
        *_mixed(table),
        *_published(table),
        *_incomplete(table),
        *_few(table),
        *_asides(asides),
        *_failed(table),
    )


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _cells(table: PaperTable) -> Iterator[tuple[Row, str, Cell]]:
    for row in table.rows:
        for one in table.across:
            yield row, one.title, row.cell(one.key)


def _rules(table: PaperTable) -> Iterator[str]:
    for known in PROTOCOLS.values():
        if known.name == table.key.protocol:
            yield f"{known.name}: {known.about}"
    if table.key.age:
        yield "data of an earlier state, which have since changed under the same name"


def _means(table: PaperTable) -> Iterator[str]:
    """What a number averages over; a cell that has less than its neighbours is marked and told apart."""
    over: dict[tuple[str, ...], dict[str, None]] = {}
    for _, title, cell in _cells(table):
        if cell.strategies and cell.status != INCOMPLETE:
            over.setdefault(cell.strategies, {})[title] = None
    part = " on the prompts of one subset" if table.by == "subset" else ""
    for strategies, titles in over.items():
        where = f" ({listed(list(titles))})" if len(over) > 1 and table.by != "strategy" else ""
        if table.by == "strategy":
            yield "a number is of one strategy" + _of_seeds(table)
            break
        if len(strategies) == 1:
            yield f"a number is of one strategy ({strategies[0]}){part}{_of_seeds(table)}{where}"
        else:
            what = f"the mean over {len(strategies)} strategies ({', '.join(strategies)})"
            yield f"a number is {what}{part}{_of_seeds(table)}{where}"
    fewer = {
        row.shown: cell.seeds
        for row, _, cell in _cells(table)
        if row.kind != REFERENCE and cell.seeds and cell.seeds != table.seeds
    }
    if fewer:
        said = [f"{name} ({', '.join(map(str, seeds))})" for name, seeds in fewer.items()]
        yield f"not over every seed: {listed(said)}"


def _of_seeds(table: PaperTable) -> str:
    return f", the mean over its {len(table.seeds)} seeds first" if len(table.seeds) > 1 else ""


def _mixed(table: PaperTable) -> Iterator[str]:
    mixed = [f"{name} {' and '.join(found)}" for name, found in table.versions.items() if len(found) > 1]
    if mixed:
        yield f"mixed versions, so rows may differ by more than their routers: {'; '.join(mixed)}"


def _published(table: PaperTable) -> Iterator[str]:
    if not table.published:
        return
    yield "published: Huang et al. 2025, to two decimals; the difference is ours less theirs"
    if table.key.protocol != PAPER.name:
        yield f"the published numbers were made by the rules of paper, ours by those of {table.key.protocol}"
    fewer = []
    for one in table.across:
        known = facts.benchmarks().get(one.key)
        # A tenth is tested on; a benchmark whose test part is clearly smaller is not the published one.
        if known is not None and one.prompts < 0.095 * known.prompts:
            fewer.append(f"{one.title} ({one.prompts} test prompts; published: about {known.prompts // 10})")
    if fewer:
        yield f"not the same data as published: {', '.join(fewer)}"
    here = {(one.key, row.m) for one in table.across for row in table.rows if row.cell(one.key).status != ABSENT}
    shown = {row.label for row in table.rows}
    absent = {name for benchmark, m, name in facts.published_results() if (benchmark, m) in here and name not in shown}
    if absent:
        yield f"published, not run here: {', '.join(sorted(absent))}"


def _incomplete(table: PaperTable) -> Iterator[str]:
    told = []
    for row, title, cell in _cells(table):
        if cell.status == INCOMPLETE:
            uneven = cell.runs != len(cell.strategies) * len(cell.seeds)
            what = (
                f"{cell.runs} runs of {', '.join(cell.strategies)}" if uneven else f"{', '.join(cell.strategies)} only"
            )
            told.append(f"{row.shown} on {title}, m = {row.m} ({what})")
    if told:
        yield f"incomplete, so not compared: {listed(told)}"


def _few(table: PaperTable) -> Iterator[str]:
    few = [f"{one.title} has {one.prompts}" for one in table.across if 0 < one.prompts < FEW]
    if few:
        yield f"few test prompts, so differences mean little: {listed(few)}"


def _asides(asides: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for note in sorted(asides):
        yield f"{note} ({listed(sorted(asides[note]), 4)})"


def _failed(table: PaperTable) -> Iterator[str]:
    """Each mistake once, with the runs that made it."""
    where: dict[tuple[str, str], dict[str, None]] = {}
    for row, _, cell in _cells(table):
        for error in cell.errors:
            scenario, _, message = error.partition(": ")
            where.setdefault((row.shown, message), {})[scenario] = None
    for (label, message), scenarios in list(where.items())[:ERRORS]:
        yield f"failed: {label} on {listed(list(scenarios), 4)}: {message}"
    if len(where) > ERRORS:
        yield f"and {len(where) - ERRORS} more mistakes: routereval results FILE --json has them all"
