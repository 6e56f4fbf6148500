"""The command that makes a stored run again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import lru_cache

from routereval import facts
from routereval.errors import ParameterError
from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.results.run import PREDICTIONS_FILE, RunSpec, canonical_json, router_label
from routereval.routers import naming
from routereval.routers.catalogue import routers
from routereval.sources.synthetic import DEMO

NO_ENCODER = "none"
DATA = "DATA"
"""What stands for the folder of data: a results file knows what was in it, not where it was."""


def command_of(spec: RunSpec) -> str:
    """The command of one run, for a shell; see :func:`commands_of`."""
    return commands_of([spec])[0]


def commands_of(specs: Iterable[RunSpec]) -> list[str]:
    """As few commands as make all these runs, each scenario named and nothing run beside them.

    ``DATA`` stands for the data folder. A router of somebody's own has to be importable where the command is given, and
    a predictions file is ``PREDICTIONS``. Parameters that cannot be written in a command are left to Python: the line is
    then a comment that says so.
    """
    alike: dict[tuple[str, ...], dict[str, list[int]]] = {}
    texts: dict[tuple[str, ...], RunSpec] = {}
    for spec in specs:
        size = "" if spec.train_size is None else str(spec.train_size)
        kind = (spec.router, canonical_json(dict(spec.params)), spec.protocol, spec.encoder, spec.benchmark, size)
        texts.setdefault(kind, spec)
        alike.setdefault(kind, {}).setdefault(spec.scenario, []).append(spec.seed)
    commands = []
    for kind, seeds_of in alike.items():
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for scenario, seeds in seeds_of.items():
            by_seeds.setdefault(tuple(sorted(set(seeds))), []).append(scenario)
        commands += [_command(texts[kind], scenarios, seeds) for seeds, scenarios in by_seeds.items()]
    return commands


def router_text(spec: RunSpec) -> str | None:
    """What ``--router`` takes for it; None where no text says it."""
    return _router_text(spec.router, canonical_json(dict(spec.params)), spec)


def _command(spec: RunSpec, scenarios: list[str], seeds: tuple[int, ...]) -> str:
    data = [] if spec.benchmark in DEMO else ["--data", DATA]
    if spec.router.startswith(PREDICTIONS_FILE):
        name = spec.router.removeprefix(PREDICTIONS_FILE)
        return _joined("routereval", "score", "PREDICTIONS", "--name", name, "--protocol", spec.protocol, *data)
    text = router_text(spec)
    if text is None:
        told = f"# {spec.router} on {', '.join(scenarios)}: these parameters can be given in Python only: "
        return " ".join((told + canonical_json(dict(spec.params))).split())
    tune = ["--tune", "--budget", str(spec.params["tune"])] if "tune" in spec.params else []
    encoder = [] if spec.encoder == NO_ENCODER else ["--encoder", spec.encoder]
    size = [] if spec.train_size is None else ["--train-size", str(spec.train_size)]
    seed = [piece for one in seeds for piece in ("--seed", str(one))]
    return _joined(
        *("routereval", "run", *scenarios, "--router", text, *tune, "--protocol", spec.protocol),
        *(*encoder, *seed, *size, *data),
    )


def _joined(*pieces: str) -> str:
    return " ".join(shlex.quote(piece) for piece in pieces)


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


def _router_text(router: str, params_json: str, spec: RunSpec) -> str | None:
    key = (router, params_json)
    if key not in _TEXTS:
        if len(_TEXTS) > 4096:
            _TEXTS.clear()
        _TEXTS[key] = _written(spec)
    return _TEXTS[key]


_TEXTS: dict[tuple[str, str], str | None] = {}


def _written(spec: RunSpec) -> str | None:
    own = {k: v for k, v in spec.params.items() if k != "tune"}
    text = router_label(spec.router, own, defaults_of(spec.router))
    shown = {k: str(v) for k, v in own.items() if k not in (d := defaults_of(spec.router)) or d[k] != v}
    try:
        read = naming.parse(text, _known())
    except ParameterError:
        return None
    return text if read == (spec.router, shown) else None


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset({*routers(), *REFERENCES})
