"""Where numbers come from: protocol, encoder, seeds, data and version, a line for whatever has them in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from routereval.results import StoredRun
from routereval.results.curves import CurveSpec

HASH = 8
"""How many characters of a data hash a line or a figure has room for; JSON and frames have all."""
UNKNOWN = "unknown"


class Origin(NamedTuple):
    """Where one run comes from."""

    benchmark: str
    protocol: str
    encoder: str
    data_hash: str
    seed: int
    version: str


@dataclass(frozen=True)
class Provenance:
    """What some numbers have in common.

    Parameters
    ----------
    data : each benchmark with the hash of its data.
    seeds : of the runs, ascending.
    versions : of routereval that made the runs; empty where nobody kept it.
    """

    protocol: str
    encoder: str
    seeds: tuple[int, ...]
    data: tuple[tuple[str, str], ...]
    versions: tuple[str, ...]

    def sentence(self, digits: int = HASH) -> str:
        """All of it on one line; names are as they are, for whoever prints it to make safe."""
        seeds = ", ".join(map(str, self.seeds))
        parts = [
            f"protocol {self.protocol}",
            f"encoder {self.encoder}",
            f"seed{'s' if len(self.seeds) > 1 else ''} {seeds}",
            f"data {', '.join(f'{name} {hash_[:digits] or UNKNOWN}' for name, hash_ in self.data)}",
            f"routereval {', '.join(self.versions) or 'of unknown version'}",
        ]
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, the hashes whole."""
        return {
            "protocol": self.protocol,
            "encoder": self.encoder,
            "seeds": list(self.seeds),
            "data": [{"benchmark": name, "data_hash": hash_} for name, hash_ in self.data],
            "versions": list(self.versions),
        }


def version_of(run: StoredRun) -> str:
    """The version of RouterEval that made a run."""
    return run.versions.get("routereval", UNKNOWN)


def origin_of(run: StoredRun) -> Origin:
    """Where a run comes from."""
    spec = run.spec
    return Origin(spec.benchmark, spec.protocol, spec.encoder, spec.data_hash, spec.seed, version_of(run))


def provenance_of(origins: Iterable[Origin]) -> tuple[Provenance, ...]:
    """One for all benchmarks that are alike in everything but their data: as a rule a single one."""
    seeds: dict[tuple[str, str, str, str], set[int]] = {}
    versions: dict[tuple[str, str, str, str], set[str]] = {}
    for one in origins:
        seeds.setdefault(one[:4], set()).add(one.seed)
        versions.setdefault(one[:4], set()).add(one.version)
    alike: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for table in seeds:
        benchmark, protocol, encoder, data_hash = table
        common = protocol, encoder, tuple(sorted(seeds[table])), tuple(sorted(versions[table]))
        alike.setdefault(common, []).append((benchmark, data_hash))
    return tuple(
        Provenance(protocol, encoder, own, tuple(data), made_by)
        for (protocol, encoder, own, made_by), data in alike.items()
    )


def curve_statements(specs: Iterable[CurveSpec]) -> list[str]:
    """The provenance of scaling curves in lines; of oracle and chance alone there is no protocol and no encoder."""
    from routereval import __version__

    version = f"{__version__}, which printed this: curves do not keep theirs"
    curves = list(specs)
    routers = {(one.benchmark, one.data_hash) for one in curves if one.protocol != "none"}
    own = [one for one in curves if one.protocol != "none" or (one.benchmark, one.data_hash) not in routers]
    origins = [Origin(o.benchmark, o.protocol, o.encoder, o.data_hash, o.seed, version) for o in own]
    return [one.sentence() for one in provenance_of(origins)]


def statements(runs: Iterable[StoredRun]) -> list[str]:
    """The provenance of these runs in lines."""
    return [one.sentence() for one in provenance_of(map(origin_of, runs))]
