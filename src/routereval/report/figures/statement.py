"""The statement below every figure: protocol, encoder, seeds, data, test prompts, version."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from routereval.report.figures.cells import Cell
from routereval.report.figures.style import listed, short
from routereval.report.figures.view import CellKey, ResultsView, Task
from routereval.report.provenance import HASH, UNKNOWN, version_of
from routereval.results import StoredRun


def rules(view: ResultsView) -> list[str]:
    """Protocol, encoder, pool size."""
    encoder = "no embeddings" if view.encoder == "none" else f"encoder {short(view.encoder)}"
    return [f"{short(view.protocol)} protocol", encoder, *([] if view.m is None else [f"m = {view.m}"])]


@dataclass(frozen=True)
class Statement:
    """Where the numbers of a figure come from.

    Parameters
    ----------
    text : the sentence below the figure.
    seeds, versions : of its runs, ascending; data : each benchmark with the whole hash of its data.
    """

    text: str
    protocol: str
    encoder: str
    seeds: tuple[int, ...]
    data: tuple[tuple[str, str], ...]
    versions: tuple[str, ...]

    @property
    def columns(self) -> dict[str, str]:
        """The same as columns of the figure's data, named and written as in the other files of a report."""
        return {
            "protocol": self.protocol,
            "encoder": self.encoder,
            "seeds": " ".join(map(str, self.seeds)),
            "data_hashes": "; ".join(f"{name} {hash_ or UNKNOWN}" for name, hash_ in self.data),
            "versions": " ".join(self.versions),
        }


def statement(view: ResultsView, cells: Mapping[CellKey, Cell]) -> Statement:
    """Of the cells in a figure."""
    prompts: dict[tuple[str, str], set[int]] = {}
    for key, cell in cells.items():
        prompts.setdefault((key.benchmark, key.data_hash), set()).add(cell.prompts)
    return stated(
        view,
        {seed for cell in cells.values() for seed in cell.seeds},
        [(benchmark, data, max(counts)) for (benchmark, data), counts in prompts.items()],
        {cell.version for cell in cells.values()},
    )


def stated(
    view: ResultsView, seeds: Collection[int], data: Sequence[tuple[str, str, int | None]], versions: Collection[str]
) -> Statement:
    """Of seeds, of benchmarks with the hash of their data and the number of test prompts, and of versions."""
    said = rules(view)
    if seeds:
        said.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}")
    for benchmark, hash_, prompts in data:
        count = "" if prompts is None else f", {prompts} test prompts"
        said.append(f"{short(benchmark)}: data {short(hash_[:HASH])}{count}")
    if versions:
        said.append(f"RouterEval {', '.join(map(short, sorted(versions)))}")
    text = "; ".join(said)
    return Statement(
        # It follows other sentences, on a line of its own in a figure and in the same paragraph on a page.
        text[:1].upper() + text[1:],
        view.protocol,
        view.encoder,
        tuple(sorted(seeds)),
        tuple((benchmark, hash_) for benchmark, hash_, _ in data),
        tuple(sorted(versions)),
    )


def versions_of(runs: Iterable[StoredRun]) -> set[str]:
    """The versions of RouterEval that made them."""
    return set(map(version_of, runs))


def left_out(labels: Sequence[str]) -> list[str]:
    """A sentence on the routers that are not shown, where there are any."""
    return [f"Not shown: {listed(labels)} (--router chooses)."] if labels else []


def more_tasks(view: ResultsView, shown: Sequence[Task], among: Sequence[Task] | None = None) -> list[str]:
    """A sentence on benchmarks that there was no room for, where there are any."""
    rest = [task.benchmark for task in (view.tasks if among is None else among) if task not in shown]
    return [f"No room for {listed(rest)} (--scenario chooses)."] if rest else []
