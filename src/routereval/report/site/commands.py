"""The command that makes a stored run again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from routereval import facts
from routereval.errors import ParameterError
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.report.printable import printable
from routereval.results.run import PREDICTIONS_FILE, RunSpec, canonical_json, router_label
from routereval.routers import naming
from routereval.routers.catalogue import routers
from routereval.sources.synthetic import DEMO

NO_ENCODER = "none"
DATA = "DATA"
"""What stands for the folder of data: a results file knows what was in it, not where it was."""


def command_of(spec: RunSpec, params: str | None = None) -> str:
    """The command of one run, for a shell; see :func:`commands_of`.

    Parameters
    ----------
    params : the canonical JSON of its parameters, where it is known already.
    """
    return _command(
        spec, [spec.scenario], (spec.seed,), canonical_json(dict(spec.params)) if params is None else params
    )


def commands_of(specs: Iterable[RunSpec]) -> list[str]:
    """As few commands as make all these runs, each scenario named and nothing run beside them.

    ``DATA`` stands for the data folder. A router of somebody's own has to be importable where the command is given, and
    a predictions file is ``PREDICTIONS``. Parameters that no command can say are left to Python: the line is
    then a comment that says so.
    """
    alike: dict[tuple[str, ...], dict[str, list[int]]] = {}
    specs_of: dict[tuple[str, ...], RunSpec] = {}
    for spec in specs:
        size = "" if spec.train_size is None else str(spec.train_size)
        kind: tuple[str, ...] = (
            spec.router,
            canonical_json(dict(spec.params)),
            spec.protocol,
            # Predictions are scored again by one command, beside whatever encoder they stand.
            "" if spec.router.startswith(PREDICTIONS_FILE) else spec.encoder,
            spec.benchmark,
            size,
        )
        specs_of.setdefault(kind, spec)
        alike.setdefault(kind, {}).setdefault(spec.scenario, []).append(spec.seed)
    commands = []
    for kind, seeds_of in alike.items():
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for scenario, seeds in seeds_of.items():
            by_seeds.setdefault(tuple(sorted(set(seeds))), []).append(scenario)
        commands += [_command(specs_of[kind], scenarios, seeds, kind[1]) for seeds, scenarios in by_seeds.items()]
    return commands


def _command(spec: RunSpec, scenarios: list[str], seeds: tuple[int, ...], params: str) -> str:
    pieces = _around(spec.router, params, spec.protocol, spec.encoder, spec.benchmark, spec.train_size)
    if pieces is None:
        told = f"# {spec.router} on {', '.join(scenarios)}: these parameters can be given in Python only: "
        return " ".join((told + params).split())
    head, tail = pieces
    if spec.router.startswith(PREDICTIONS_FILE):
        return f"{head} {tail}"
    named = " ".join(map(_quoted, scenarios))
    return f"{head} {named} {tail} {' '.join(f'--seed {seed}' for seed in seeds)}"


@lru_cache(maxsize=8192)
def _around(
    router: str, params: str, protocol: str, encoder: str, benchmark: str, train_size: int | None
) -> tuple[str, str] | None:
    """What stands before the scenarios and after them, without the seeds; None where no command says it."""
    data = [] if benchmark in DEMO else ["--data", DATA]
    if router.startswith(PREDICTIONS_FILE):
        name = router.removeprefix(PREDICTIONS_FILE)
        return _joined("routereval", "score", "PREDICTIONS"), _joined("--name", name, "--protocol", protocol, *data)
    own = json.loads(params)
    tune = ["--tune", "--budget", str(own["tune"])] if "tune" in own else []
    text = _router_text(router, {k: v for k, v in own.items() if k != "tune"})
    if text is None:
        return None
    embeddings = [] if encoder == NO_ENCODER else ["--encoder", encoder]
    size = [] if train_size is None else ["--train-size", str(train_size)]
    tail = _joined("--router", text, *tune, "--protocol", protocol, *embeddings, *size, *data)
    return "routereval run", tail


def _joined(*pieces: str) -> str:
    return " ".join(map(_quoted, pieces))


@lru_cache(maxsize=8192)
def _quoted(piece: str) -> str:
    r"""The piece for a shell.

    Signs that act on the text around them are written out, as ``$'...'`` which bash and zsh read: what is shown can be
    copied, and names the same run.
    """
    if printable(piece) == piece:
        return shlex.quote(piece)
    written = piece.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(one if printable(one) == one else _escape(one) for one in written) + "'"


def _escape(one: str) -> str:
    """By its number; beyond ASCII ``\\x`` would be a byte."""
    return f"\\x{ord(one):02x}" if one.isascii() else f"\\u{ord(one):04x}"


def _router_text(router: str, params: dict[str, Any]) -> str | None:
    """What ``--router`` takes for it; None where it would be read as another."""
    defaults = defaults_of(router)
    text = router_label(router, params, defaults)
    shown = {k: str(v) for k, v in params.items() if k not in defaults or defaults[k] != v}
    try:
        return text if naming.parse(text, _known()) == (router, shown) else None
    except ParameterError:
        return None


def needs_data(benchmark: str) -> str:
    """What ``DATA`` stands for, in a sentence."""
    if benchmark in DEMO:
        return "The demo data come with RouterEval."
    if benchmark in facts.benchmarks():
        return "DATA is the folder with the official files (routereval download --out DATA)."
    return (
        "DATA is the folder of the data; for a table of your own leave --data out and write the table's path in place "
        "of the benchmark's name (scores.csv/all/5)."
    )


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset({*routers(), *REFERENCES})
