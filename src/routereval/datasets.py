"""Benchmarks and scenarios by name: the demo, the official files of a data folder, tables of one's own."""

from __future__ import annotations

import difflib
import fnmatch
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from routereval import facts
from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.scenario import Scenario
from routereval.encoders import embedded
from routereval.errors import DataError, MissingDataError, UnknownNameError
from routereval.progress import Progress, unseen

DATA_VARIABLE = "ROUTEREVAL_DATA"
TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".jsonl", ".ndjson", ".parquet")
HOW_TO_GET = (
    "the official files: routereval download --out official (Hugging Face, dataset linggm/RouterEval), "
    f"then --data official (Python: data=) or ${DATA_VARIABLE}"
)


@dataclass(frozen=True)
class Selection:
    """Scenarios of one benchmark that were asked for."""

    data: BenchmarkData
    pools: tuple[PoolKey, ...]

    @property
    def scenario_ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(f"{self.data.benchmark}/{strategy}/{m}" for strategy, m in self.pools)


@dataclass(frozen=True)
class Datasets:
    """Everything that can be routed on from here.

    Parameters
    ----------
    folder : where the official files lie (or one of them); None: ``$ROUTEREVAL_DATA``, else none.
    encoder : which embeddings the queries get; see ``encoders.embedded``.
    columns, embeddings : how to read a table: column by role, and a .npy file of embeddings.
    protocol : how pools are picked where the data come without: ``strict`` looks at no test prompt; and which end of a
        text is kept that is too long for an encoder.
    progress : shows how far reading is where that takes long.
    """

    folder: Path | None = None
    encoder: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    embeddings: Path | None = None
    protocol: str = "strict"
    progress: Progress = field(default=unseen, repr=False, compare=False)

    @cached_property
    def root(self) -> Path | None:
        """The data folder.

        Raises
        ------
        MissingDataError : it was given and is not there.
        """
        given = self.folder or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
        if given is None:
            return None
        try:
            path = given.expanduser()
        except RuntimeError as error:
            raise MissingDataError(f"there is no data folder {given}: {error}") from error
        if not path.exists():
            raise MissingDataError(f"there is no data folder {path}; {HOW_TO_GET}")
        return path

    @cached_property
    def origins(self) -> dict[str, str]:
        """Every benchmark at hand and its origin: ``demo``, ``built``, ``official``, ``leaderboard``, ``full_data``."""
        from routereval.sources import built_folders, full_data, leaderboards, official, synthetic

        found: dict[str, str] = {}
        if self.root is not None:
            found |= dict.fromkeys(built_folders.benchmarks(self.root), "built")
            found |= dict.fromkeys((k for k in official.benchmarks(self.root) if k not in found), "official")
            # Looking into a leaderboard file converts it, so only where it may hold something new.
            if not facts.benchmarks().keys() <= found.keys():
                try:
                    new = [key for key in leaderboards.benchmarks(self.root) if key not in found]
                except DataError as error:
                    # What is whole beside it can be used all the same.
                    logging.getLogger(__name__).warning("no leaderboard is used: %s", error)
                    new = []
                found |= dict.fromkeys(new, "leaderboard")
            found |= dict.fromkeys((key for key in full_data.benchmarks(self.root) if key not in found), "full_data")
        return dict.fromkeys(synthetic.DEMO, "demo") | found

    def benchmark(self, name: str) -> BenchmarkData:
        """All data of one benchmark, or of a table (a path).

        Raises
        ------
        MissingDataError : known, but not at hand; says how to get it.
        UnknownNameError : no such benchmark.
        """
        if is_table(name):
            from routereval.sources.tables import load_table

            return load_table(Path(name), columns=self.columns or None, embeddings=self.embeddings)
        self._check_known([name])
        if self.origins[name] == "demo":
            from routereval.sources import synthetic

            return synthetic.load(name)
        from routereval.sources import built_folders, full_data, leaderboards, official

        assert self.root is not None
        if self.origins[name] == "built":
            return built_folders.load(name, self.root)
        if self.origins[name] in ("leaderboard", "full_data"):
            # Compiled loops, which nobody needs who only looks.
            from routereval.data.building import built

            whole = (
                leaderboards.load(name, self.root)
                if self.origins[name] == "leaderboard"
                else full_data.load(name, self.root, self.progress)
            )
            return self.published(built(whole, protocol=self.protocol))
        return self.published(official.load(name, self.root))

    def published(self, data: BenchmarkData) -> BenchmarkData:
        """The data with the published embeddings that ``encoder`` names; as they are where it names none of these.

        Split and pools stay, so that the same scenarios are run on every encoder.
        """
        from routereval.sources import leaderboards

        return data if self.root is None else leaderboards.with_embeddings(data, self.root, self.encoder)

    def encoded(self, data: BenchmarkData) -> BenchmarkData:
        """The data with the embeddings that ``encoder`` names: published ones where there are any, else computed.

        Raises
        ------
        MissingDataError, UnknownNameError, ParameterError : as :func:`routereval.encoders.embedded`.
        """
        return embedded(self.published(data), self.encoder, protocol=self.protocol, progress=self.progress)

    def unpooled(self, name: str) -> BenchmarkData:
        """Scores of all models there are on a benchmark, to pick pools from: a leaderboard's where there is one.

        Raises
        ------
        UnknownNameError, MissingDataError : as :meth:`benchmark`.
        """
        from routereval.sources import full_data, leaderboards

        if self.root is not None and not is_table(name):
            if name in leaderboards.benchmarks(self.root):
                return leaderboards.load(name, self.root)
            if name in full_data.benchmarks(self.root):
                return full_data.load(name, self.root, self.progress)
        return self.benchmark(name)

    def scenario(self, scenario_id: str) -> Scenario:
        """One scenario by its id ``benchmark/strategy/m``.

        Raises
        ------
        UnknownNameError : not such an id, or no such benchmark.
        MissingDataError : the data or the pool are not at hand.
        """
        name, strategy, m = _parts(scenario_id)
        return self.encoded(self.benchmark(name)).scenario(strategy, m)

    def select(self, targets: Sequence[str], *, skip_missing: bool = False) -> list[Selection]:
        """The scenarios that suites, ids, globs, benchmark names and table files stand for, each once.

        Parameters
        ----------
        skip_missing : leave out the benchmarks of a suite that are not at hand, instead of failing.

        Raises
        ------
        UnknownNameError : a target that stands for nothing.
        MissingDataError : something of a suite is not at hand.
        """
        chosen: dict[str, tuple[BenchmarkData, dict[PoolKey, None]]] = {}
        for target in targets:
            for data, pools in self._expand(target, skip_missing):
                chosen.setdefault(data.data_hash + data.benchmark, (data, {}))[1].update(dict.fromkeys(pools))
        return [Selection(data, tuple(pools)) for data, pools in chosen.values()]

    def _expand(self, target: str, skip_missing: bool) -> list[tuple[BenchmarkData, list[PoolKey]]]:
        suites = facts.suites()
        if target in suites:
            return self._suite(target, skip_missing)
        if is_table(target):
            data = self.benchmark(target)
            return [(data, list(data.pools))]
        name, pattern = _name_and_pool(target)
        globbed = not is_table(name) and any(c in name for c in "*?[")
        names = fnmatch.filter(self.origins, name) if globbed else [name]
        if not globbed and not is_table(name):
            self._check_known(names, also=list(suites))
        found = []
        for data in map(self.benchmark, names):
            pools = [pool for pool in data.pools if fnmatch.fnmatchcase(f"{pool[0]}/{pool[1]}", pattern or "*")]
            if pools:
                found.append((data, pools))
        if not found:
            self._raise_no_match(target, names)
        return found

    def _suite(self, name: str, skip_missing: bool) -> list[tuple[BenchmarkData, list[PoolKey]]]:
        from routereval.data.scenario import STRATEGIES

        suite = facts.suites()[name]
        demo = suite["benchmarks"] == "demo"
        names = [key for key, origin in self.origins.items() if origin == "demo"] if demo else list(facts.benchmarks())
        absent = [key for key in names if key not in self.origins]
        if absent and (not skip_missing or len(absent) == len(names)):
            where = self.root or "no data folder was given"
            raise MissingDataError(
                f"suite {name} needs {', '.join(absent)}: not found ({where}); {HOW_TO_GET}; "
                "or run what is there with --skip-missing"
            )
        wanted = [(strategy, m) for m in suite["sizes"] for strategy in STRATEGIES]
        found, gaps = [], []
        for key in names:
            if key not in absent:
                data = self.benchmark(key)
                have = [pool for pool in wanted if pool in data.pools]
                gaps += [f"{key}/{strategy}/{m}" for strategy, m in wanted if (strategy, m) not in data.pools]
                found.append((data, have))
        if gaps and not skip_missing:
            raise MissingDataError(
                f"suite {name} lacks {len(gaps)} pools: {', '.join(gaps)}; run what is there with --skip-missing"
            )
        return found

    def _check_known(self, names: Sequence[str], also: Sequence[str] = ()) -> None:
        for name in names:
            if name in self.origins:
                continue
            if name in facts.benchmarks():
                where = f"not in {self.root}" if self.root else "no data folder was given"
                raise MissingDataError(f"benchmark {name} is published, but {where}; {HOW_TO_GET}")
            known = sorted({*self.origins, *facts.benchmarks(), *also})
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
            kind = "benchmark or suite" if also else "benchmark"
            table = ". A table of your own is given by its path: scores.csv, or one pool of it scores.csv/all/5"
            raise UnknownNameError(f"unknown {kind} {name!r}; {hint}{table}")

    def _raise_no_match(self, target: str, names: Sequence[str]) -> None:
        if any(c in target for c in "*?["):
            have = ", ".join(pool for name in names for pool in self.benchmark(name).scenario_ids) or "none"
            raise UnknownNameError(f"no scenario matches {target!r}; at hand: {have or 'none'}")
        name, strategy, m = _parts(target)
        self.benchmark(name).pool(strategy, m)


def is_table(target: str) -> bool:
    """Whether a target is a table file rather than a name."""
    return target.lower().endswith(TABLE_SUFFIXES)


def is_scenario(target: str) -> bool:
    """Whether a target has the form of a scenario's id, of a benchmark or of a table."""
    return _name_and_pool(target)[1].count("/") == 1


def _name_and_pool(target: str) -> tuple[str, str]:
    """The benchmark or table, and what stands behind it: ``strategy/m``, globs, or nothing."""
    pieces = target.rsplit("/", 2)
    if is_table(target) or (len(pieces) == 3 and is_table(pieces[0])):
        return (target, "") if is_table(target) else (pieces[0], "/".join(pieces[1:]))
    name, _, pool = target.partition("/")
    return name, pool


def _parts(scenario_id: str) -> tuple[str, str, int]:
    name, pool = _name_and_pool(scenario_id)
    strategy, _, m = pool.partition("/")
    if not (strategy and re.fullmatch(r"[1-9][0-9]*", m)):
        raise UnknownNameError(
            f"{scenario_id!r} is no scenario id; expected benchmark/strategy/m, like gsm8k/all_strong/5, "
            "or table/strategy/m, like scores.csv/all/5"
        )
    return name, strategy, int(m)
