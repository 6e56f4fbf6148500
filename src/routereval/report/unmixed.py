"""The runs that a mean may be taken over: of one protocol, and of one encoder for each benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from routereval.catalogue import unknown_name
from routereval.errors import ParameterError
from routereval.protocols import protocol as protocol_named
from routereval.report.table_notes import listed
from routereval.results import RunSpec, StoredRun


def of_choice(runs: Iterable[StoredRun], protocol: str | None, encoder: str | None) -> list[StoredRun]:
    """The runs of a protocol and an encoder; None: of all.

    Raises
    ------
    UnknownNameError : there is no such protocol, or no run with that encoder.
    ParameterError : no run is left.
    """
    everyone = list(runs)
    if protocol is not None:
        protocol_named(protocol)
    encoders = {run.spec.encoder for run in everyone}
    if encoder is not None and everyone and encoder not in encoders:
        raise unknown_name("encoder among the stored runs", encoder, sorted(encoders))
    found = [run for run in everyone if protocol in (None, run.spec.protocol) and encoder in (None, run.spec.encoder)]
    if everyone and not found:
        wanted = [f"protocol {protocol}"] * (protocol is not None) + [f"encoder {encoder}"] * (encoder is not None)
        have = sorted({f"{run.spec.protocol} with {run.spec.encoder}" for run in everyone})
        raise ParameterError(f"no stored run has {' and '.join(wanted)}; there are runs by {listed(have)}")
    return found


def refuse_mixed(specs: Sequence[RunSpec]) -> None:
    """Refuse runs over which no mean may be taken.

    Raises
    ------
    ParameterError : they are by several protocols, or with several encoders on the same data; which, and what chooses.
    """
    problems = []
    protocols = sorted({spec.protocol for spec in specs})
    if len(protocols) > 1:
        problems.append(
            f"the runs are by {len(protocols)} protocols, {' and '.join(protocols)}, which are never averaged; choose "
            f"one: {' or '.join(f'--protocol {one}' for one in protocols)} (in Python protocol=)"
        )
    encoders: dict[tuple[str, str, str], set[str]] = {}
    for spec in specs:
        encoders.setdefault((spec.benchmark, spec.data_hash, spec.protocol), set()).add(spec.encoder)
    several = {key[0]: sorted(found) for key, found in encoders.items() if len(found) > 1}
    if several:
        names = sorted({one for found in several.values() for one in found})
        problems.append(
            f"{listed(list(several))} {'was' if len(several) == 1 else 'were'} run with {len(names)} encoders, "
            f"{' and '.join(names)}, which are never averaged; choose one: "
            f"{' or '.join(f'--encoder {one}' for one in names)} (in Python encoder=)"
        )
    if problems:
        raise ParameterError("; ".join(problems))


def notes_on_data(specs: Iterable[RunSpec]) -> list[str]:
    """What to say where the data of a benchmark have changed under its name between the runs."""
    data: dict[str, set[str]] = {}
    for spec in specs:
        data.setdefault(spec.benchmark, set()).add(spec.data_hash)
    return [
        f"{name}: runs on {len(hashes)} different data of that name, each with pools of its own in the means"
        for name, hashes in data.items()
        if len(hashes) > 1
    ]
