"""Which runs there are: one pass over the results file without the per-prompt values, so that any number fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from routereval.policies import defaults_of
from routereval.references import REFERENCES
from routereval.report.groups import ORDER
from routereval.report.provenance import Origin, version_of
from routereval.report.unmixed import fits_any_encoder
from routereval.results import RunSpec, StoredRun
from routereval.results.run import canonical_json, router_label
from routereval.routers.catalogue import CONTROLS

ROUTER, BASELINE, CONTROL, REFERENCE = "router", "baseline", "control", "reference"
"""Kinds of rows; only routers and the baseline, always the model best on train, take part in ranks."""


@dataclass(frozen=True)
class RouterEntry:
    """One row of the leaderboard: a router with its parameters, and which version of its source.

    Parameters
    ----------
    index : its position; ``kind`` is one of those above.
    """

    index: int
    label: str
    code: str
    name: str
    params: str
    kind: str

    @property
    def competes(self) -> bool:
        """Whether it takes part in ranks."""
        return self.kind in (ROUTER, BASELINE)


OnRun = Callable[[StoredRun, str, str], None]
"""Is called with a run, its router's label and its parameters as canonical JSON."""


class Scene(NamedTuple):
    """One scenario under one protocol, encoder and data."""

    benchmark: str
    protocol: str
    encoder: str
    data_hash: str
    m: int
    strategy: str

    @property
    def scenario(self) -> str:
        """Its id."""
        return f"{self.benchmark}/{self.strategy}/{self.m}"


class Setting(NamedTuple):
    """A protocol, and the encoder where encoders are apart; None: of each benchmark the one that it has."""

    protocol: str
    encoder: str | None

    def holds(self, scene: Scene) -> bool:
        """Whether a scenario is one of it."""
        return scene.protocol == self.protocol and self.encoder in (None, scene.encoder)


class Run(NamedTuple):
    """What is kept of a run."""

    key: str
    spec: RunSpec
    error: str | None
    seconds: float
    predict_seconds: float
    ended: str
    version: str

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        spec = self.spec
        return Origin(spec.benchmark, spec.protocol, spec.encoder, spec.data_hash, spec.seed, self.version)


@dataclass
class Inventory:
    """Every run that the page shows.

    Parameters
    ----------
    routers : in order: routers, from simple to not, then references.
    scenes : the runs of each scenario by router; the scenarios of a benchmark come one after the other.
    failed : the runs that failed, with those that are damaged.
    versions : of RouterEval, which the runs were made with.
    notes : what was noted of runs, and on how many scenarios.
    left_out : what is in the file and not on the page, in sentences.
    """

    routers: list[RouterEntry] = field(default_factory=list)
    scenes: dict[Scene, dict[int, list[Run]]] = field(default_factory=dict)
    failed: list[Run] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    notes: dict[str, set[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    runs: int = 0
    ended: str = ""

    @cached_property
    def benchmarks(self) -> list[str]:
        """In alphabetical order."""
        return sorted({scene.benchmark for scene in self.scenes})

    @cached_property
    def protocols(self) -> list[str]:
        """The sound one first."""
        return sorted({scene.protocol for scene in self.scenes}, key=lambda name: (name != "strict", name))

    @cached_property
    def encoders(self) -> list[str]:
        """That of most runs first, equals in alphabetical order."""
        runs: Counter[str] = Counter()
        for scene, by_router in self.scenes.items():
            runs[scene.encoder] += sum(map(len, by_router.values()))
        return sorted(runs, key=lambda name: (-runs[name], name))

    @cached_property
    def encoders_apart(self) -> bool:
        """Whether a benchmark was run with several by one protocol, so that there is no mean over all of them."""
        have = {(scene.benchmark, scene.protocol, scene.encoder) for scene in self.scenes}
        return len({one[:2] for one in have}) < len(have)

    def settings(self, benchmark: str | None = None) -> list[Setting]:
        """What no mean is taken over, of one benchmark or of all: the first is what a page shows first."""
        have = {
            Setting(scene.protocol, scene.encoder if self.encoders_apart else None)
            for scene in self.scenes
            if benchmark in (None, scene.benchmark)
        }
        place = {name: i for i, name in enumerate([None, *self.encoders])}
        return sorted(have, key=lambda one: (self.protocols.index(one.protocol), place[one.encoder]))

    def said(self, setting: Setting) -> list[str]:
        """As much of a setting as there are several of."""
        protocol = [setting.protocol] if len(self.protocols) > 1 else []
        return protocol + ([setting.encoder] if setting.encoder is not None else [])


def take_inventory(runs: Iterable[StoredRun], on_run: OnRun | None = None) -> Inventory:
    """Sort the runs into scenarios and routers.

    Of several versions of a benchmark's data, and of a router's source, the one that was run last is shown. Runs on
    a part of the training prompts are points of learning curves and left out. Predictions and references, which look
    at no embeddings, stand beside the routers of every encoder.

    Parameters
    ----------
    on_run : is called with every run, those that are left out too.
    """
    found = Inventory()
    entries: dict[tuple[str, str, str], RouterEntry] = {}
    specs: dict[str, dict[str, object]] = {}
    texts: dict[str, str] = {}
    parts = 0
    for run in runs:
        spec = run.spec
        # Few routers have many runs: their parameters are written out once.
        written = repr(spec.params)
        params = texts.get(written) or texts.setdefault(written, canonical_json(dict(spec.params)))
        identity = (spec.router, params, spec.code)
        if identity not in entries:
            label = router_label(spec.router, spec.params, defaults_of(spec.router))
            entries[identity] = RouterEntry(len(entries), label, spec.code, spec.router, params, _kind(spec.router))
        entry = entries[identity]
        if on_run is not None:
            on_run(run, entry.label, params)
        found.runs += 1
        found.ended = max(found.ended, run.ended)
        version = version_of(run)
        found.versions.add(version)
        scene = _scene(spec)
        # One dictionary of parameters for all runs of a router.
        shared = RunSpec(
            *(spec.scenario, spec.router, specs.setdefault(params, dict(spec.params)), spec.encoder, spec.protocol),
            *(spec.seed, spec.data_hash, spec.code, spec.train_size),
        )
        kept = Run(run.key, shared, run.error, run.seconds, run.predict_seconds, run.ended, version)
        if run.error is not None:
            found.failed.append(kept)
        if scene is None:
            continue
        if spec.train_size is not None:
            parts += 1
            continue
        for note in run.notes:
            found.notes.setdefault(note, set()).add(spec.scenario)
        found.scenes.setdefault(scene, {}).setdefault(entry.index, []).append(kept)
    if parts:
        found.left_out.append(f"{parts} runs on a part of the training prompts are points of learning curves")
    _stand_beside(found, list(entries.values()))
    _drop_older_data(found)
    _drop_older_code(found, list(entries.values()))
    _number(found, list(entries.values()))
    return found


def _kind(router: str) -> str:
    if router in REFERENCES:
        return REFERENCE
    if router in CONTROLS:
        return CONTROL
    return BASELINE if router == "best_single" else ROUTER


def _scene(spec: RunSpec) -> Scene | None:
    """Where a run belongs; None for a row so damaged that its scenario cannot be read."""
    pieces = spec.scenario.split("/")
    if len(pieces) < 3 or not pieces[-1].isdecimal():
        return None
    strategy = "/".join(pieces[1:-1])
    return Scene(pieces[0], spec.protocol, spec.encoder, spec.data_hash, int(pieces[-1]), strategy)


def _stand_beside(found: Inventory, entries: list[RouterEntry]) -> None:
    """Put what looks at no embeddings into the scenarios of every encoder that its benchmark's routers have.

    Where none of them has that scenario it stays where it is, if they have its encoder; else, and where there are no
    routers, it stands with the first.
    """
    free = {entry.index for entry in entries if fits_any_encoder(entry.name)}
    scenes: dict[Scene, dict[int, list[Run]]] = {}
    of_routers: dict[tuple[str, str], set[str]] = {}
    alone: dict[tuple[str, str], set[str]] = {}
    moving: list[tuple[Scene, int, list[Run]]] = []
    for scene, by_router in found.scenes.items():
        for index, runs in by_router.items():
            (alone if index in free else of_routers).setdefault(scene[:2], set()).add(scene.encoder)
            if index in free:
                moving.append((scene, index, runs))
            else:
                scenes.setdefault(scene, {})[index] = runs
    having = set(scenes)
    # Its own runs with an encoder come before those with another, of which the newest counts.
    moving.sort(key=lambda one: max(run.ended for run in one[2]), reverse=True)
    for own in (True, False):
        for scene, index, runs in moving:
            homes = sorted(of_routers.get(scene[:2]) or alone[scene[:2]])
            last = scene.encoder if scene[:2] in of_routers and scene.encoder in homes else homes[0]
            for encoder in [one for one in homes if scene._replace(encoder=one) in having] or [last]:
                if own == (encoder == scene.encoder):
                    there = scenes.setdefault(scene._replace(encoder=encoder), {})
                    counted = [run._replace(spec=replace(run.spec, encoder=encoder)) for run in runs]
                    there.setdefault(index, runs if own else counted)
    found.scenes = scenes


def _drop_older_data(found: Inventory) -> None:
    newest: dict[tuple[str, str, str], tuple[str, str]] = {}
    ended = {
        scene: max(run.ended for members in by_router.values() for run in members)
        for scene, by_router in found.scenes.items()
    }
    for scene, last in ended.items():
        table = (scene.benchmark, scene.protocol, scene.encoder)
        newest[table] = max(newest.get(table, ("", "")), (last, scene.data_hash))
    for scene in list(found.scenes):
        hash_ = newest[scene.benchmark, scene.protocol, scene.encoder][1]
        if scene.data_hash != hash_:
            count = sum(map(len, found.scenes.pop(scene).values()))
            found.left_out.append(
                f"{count} runs on {scene.scenario} with older data ({scene.data_hash[:8]}, newest {hash_[:8]})"
            )


def _drop_older_code(found: Inventory, entries: list[RouterEntry]) -> None:
    last = [""] * len(entries)
    for by_router in found.scenes.values():
        for index, runs in by_router.items():
            last[index] = max(last[index], *(run.ended for run in runs))
    newest: dict[str, RouterEntry] = {}
    for entry in entries:
        if entry.label not in newest or last[entry.index] > last[newest[entry.label].index]:
            newest[entry.label] = entry
    older = {entry.index for entry in entries if newest[entry.label] is not entry}
    for index in sorted(older):
        dropped = [by_router.pop(index) for by_router in found.scenes.values() if index in by_router]
        if dropped:
            found.left_out.append(
                f"{sum(map(len, dropped))} runs of {entries[index].label} with an older version of its source"
            )
    found.scenes = {scene: by_router for scene, by_router in found.scenes.items() if by_router}


def _number(found: Inventory, entries: list[RouterEntry]) -> None:
    """Number those that are shown: routers in the order of all tables, then references."""
    used = {index for by_router in found.scenes.values() for index in by_router}
    place = {name: i for i, name in enumerate(ORDER)}
    ordered = sorted(
        (entry for entry in entries if entry.index in used),
        key=lambda entry: (entry.kind == REFERENCE, place.get(entry.name, len(place)), entry.label),
    )
    moved = {entry.index: i for i, entry in enumerate(ordered)}
    found.routers = [
        RouterEntry(i, entry.label, entry.code, entry.name, entry.params, entry.kind) for i, entry in enumerate(ordered)
    ]
    found.scenes = {
        scene: {moved[index]: runs for index, runs in by_router.items()}
        for scene, by_router in sorted(found.scenes.items())
    }
