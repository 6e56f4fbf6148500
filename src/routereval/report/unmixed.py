"""The runs that a mean may be taken over: of one protocol, and of one encoder for each benchmark.

Predictions out of a file and references look at no embeddings of ours. What stands as the encoder in their spec is that
of the data they were scored on; they stand beside routers with any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from routereval.catalogue import unknown_name
from routereval.errors import ParameterError
from routereval.protocols import protocol as protocol_named
from routereval.references import REFERENCES
from routereval.report.table_notes import listed
from routereval.results import RunSpec, StoredRun
from routereval.results.run import PREDICTIONS_FILE


def fits_any_encoder(router: str) -> bool:
    """Whether a router of this name looks at no embeddings of ours: predictions out of a file, references."""
    return router.startswith(PREDICTIONS_FILE) or router in REFERENCES


def of_choice(runs: Iterable[StoredRun], protocol: str | None, encoder: str | None) -> list[StoredRun]:
    """The runs of a protocol and an encoder, and those on the same data that fit any encoder; None: of all.

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
    found = [run for run in everyone if protocol in (None, run.spec.protocol)]
    own = [run for run in found if encoder in (None, run.spec.encoder)]
    if everyone and not own:
        wanted = [f"protocol {protocol}"] * (protocol is not None) + [f"encoder {encoder}"] * (encoder is not None)
        have = sorted({f"{run.spec.protocol} with {run.spec.encoder}" for run in everyone})
        raise ParameterError(f"no stored run has {' and '.join(wanted)}; there are runs by {listed(have)}")
    beside = {_data(run.spec) for run in own if not fits_any_encoder(run.spec.router)}
    return [
        run
        for run in found
        if encoder in (None, run.spec.encoder) or (fits_any_encoder(run.spec.router) and _data(run.spec) in beside)
    ]


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
    encoders = _encoders(spec for spec in specs if not fits_any_encoder(spec.router))
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


def with_one_encoder(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs, those that fit any encoder counted to that of the routers on their data, once each.

    What they are stored under stays. Without routers they count to the first of their own encoders.

    Parameters
    ----------
    runs : such as :func:`refuse_mixed` lets pass.
    """
    free = [run for run in runs if fits_any_encoder(run.spec.router)]
    routers = [run for run in runs if not fits_any_encoder(run.spec.router)]
    encoders = _encoders(run.spec for run in free) | _encoders(run.spec for run in routers)
    kept: dict[str, StoredRun] = {}
    # The same choices scored beside two encoders are one run: that of the encoder itself, else the newest.
    for own in (False, True):
        for run in sorted(free, key=lambda run: run.ended):
            home = min(encoders[_data(run.spec)])
            if own == (run.spec.encoder == home):
                counted = replace(run.spec, encoder=home)
                kept[counted.key] = replace(run, spec=counted, key=run.key or run.spec.key)
    return [*routers, *kept.values()]


def _data(spec: RunSpec) -> tuple[str, str, str]:
    return spec.benchmark, spec.data_hash, spec.protocol


def _encoders(specs: Iterable[RunSpec]) -> dict[tuple[str, str, str], set[str]]:
    """The encoders of the runs on each benchmark, data and protocol."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for spec in specs:
        found.setdefault(_data(spec), set()).add(spec.encoder)
    return found


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
