"""Which policies ``run`` runs on which data: those asked for, less the members of groups that lack something there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routereval.cli.shared import tell

if TYPE_CHECKING:
    from routereval.data.benchmark import BenchmarkData
    from routereval.datasets import Datasets, Selection


@dataclass(frozen=True)
class Asked:
    """A router or reference that was asked for.

    Parameters
    ----------
    text : its name, with parameters.
    named : whether by this name. A group's member may be left out; who is named is told why it cannot run.
    """

    text: str
    policy: Any
    named: bool


def asked(router: Sequence[str], device: str) -> list[Asked]:
    """What ``--router`` asks for, groups written out; where it asks for nothing, the references and the published."""
    from routereval.policies import EVERYTHING, PolicySpec, expanded, on_device

    texts = expanded(router or EVERYTHING)
    return [Asked(text, on_device(PolicySpec.parse(text).build(), device), text in router) for text in texts]


def encoded(selections: Sequence[Selection], datasets: Datasets) -> list[str]:
    """Compute the embeddings of all that was selected; the benchmarks that can have none.

    Here, where there is a terminal for a bar: whoever works on it later finds it done.
    """
    from routereval.encoders import NONE

    blind = []
    for one in selections:
        ready = datasets.encoded(one.data)
        blind += [one.data.benchmark] if ready.encoder == NONE else []
        for note in ready.missing[len(one.data.missing) :]:
            tell(f"{one.data.benchmark}: {note}")
    return blind


def without_embeddings(wanted: Sequence[Asked], blind: Sequence[str]) -> list[Asked]:
    """Those that need no embeddings, as these benchmarks have none; the others are told of."""
    from routereval.policies import needs_embeddings

    left_out = [one.text for one in wanted if needs_embeddings(one.policy)]
    tell(
        f"{', '.join(blind)}: no texts and no embeddings, so {', '.join(left_out)} are left out; "
        "give --embeddings FILE.npy or a column of texts"
    )
    return [one for one in wanted if one.text not in left_out]


def able(wanted: Sequence[Asked], data: BenchmarkData) -> list[Any]:
    """The policies for these data; without subsets, members of groups that need them are left out, and told of."""
    from routereval.policies import needs_subsets

    left_out = [one.text for one in wanted if not one.named and needs_subsets(one.policy) and data.subsets is None]
    if left_out:
        tell(
            f"{data.benchmark}: the data do not say which subset a prompt belongs to, so {', '.join(left_out)} "
            "is left out; for a table name the column: --map subset=COLUMN"
        )
    return [one.policy for one in wanted if one.text not in left_out]
