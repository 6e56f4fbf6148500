"""The verbs of Python users: load, run. (``evaluate`` is in ``evaluation``.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from routereval.data.benchmark import BenchmarkData
from routereval.data.scenario import Scenario
from routereval.datasets import Datasets
from routereval.encoders import embedded
from routereval.policies import PolicySpec, expanded
from routereval.results import ResultStore, StoredRun
from routereval.runner.crews import Crew
from routereval.runner.execute import execute
from routereval.runner.limits import Limits
from routereval.runner.plan import plan


def load_benchmark(
    name: str, data: str | Path | None = None, *, encoder: str = "auto", protocol: str = "strict"
) -> BenchmarkData:
    """All data of one benchmark; ``.scenario("all_strong", 5)`` cuts a routing problem out of it.

    Parameters
    ----------
    data : folder, zip or pickle with official router datasets; not needed for the demo benchmarks.
    encoder : ``shipped``, ``name`` or ``name:k=v,...`` of the catalogue of encoders, or ``auto``: shipped where there
        are any. ``protocol`` says which end of a text is kept that is too long for it.

    Raises
    ------
    UnknownNameError, MissingDataError : no such benchmark; not in ``data``.
    """
    datasets = Datasets(_path(data), encoder, protocol=protocol)
    return datasets.encoded(datasets.benchmark(name))


def load_scenario(
    scenario_id: str, data: str | Path | None = None, *, encoder: str = "auto", protocol: str = "strict"
) -> Scenario:
    """One routing problem by its id ``benchmark/strategy/m``, as :func:`load_benchmark` finds it."""
    return Datasets(_path(data), encoder, protocol=protocol).scenario(scenario_id)


def load_table(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    embeddings: str | Path | None = None,
    encoder: str = "auto",
) -> BenchmarkData:
    """Scores of one's own, long or wide, CSV, JSONL or Parquet; one pool ``all`` of every model in it.

    Parameters
    ----------
    columns : which column is what, where names leave a doubt: ``{"score": "acc_norm", "prompt": "doc_id"}``.
    embeddings : .npy file, (prompts, d), rows in the order in which prompts first appear.
    """
    from routereval.sources.tables import load_table as read

    return embedded(read(Path(path), columns=columns, embeddings=_path(embeddings)), encoder)


def run(
    targets: Sequence[str],
    routers: Sequence[Any],
    *,
    results: str | Path,
    data: str | Path | None = None,
    protocol: str = "strict",
    encoder: str = "auto",
    seeds: Sequence[int] = (0,),
    jobs: int = 1,
    tune: int = 0,
    train_sizes: Sequence[int | None] = (None,),
    executor: Executor | Crew | None = None,
    limits: Limits | None = None,
) -> list[StoredRun]:
    """Run routers on scenarios and store every run; what is stored already is not run again.

    Parameters
    ----------
    targets : suites, scenario ids, globs, benchmarks, table files.
    routers : routers, references, or their names as on the command line (``"knn:k=50"``, ``"core"``).
    results : the results file, made where there is none.
    jobs : how many processes work; 1: this one.
    tune : how many combinations of each router's parameters to try on validation prompts; 0: none.
    train_sizes : how many of the training prompts routers learn from, a run for each; None: all.
    executor : who works instead of ``jobs`` processes: any executor, a Dask client's (``client.get_executor()``) too.
    limits : what a run may take: ``routereval.runner.limits.Limits(timeout=60, memory=2 * 10**9)``; not for an executor
        that is not Dask's.

    Returns
    -------
    list of StoredRun : every run asked for, new or stored; a failed one has its ``error``.
    """
    policies = []
    for router in routers:
        named = expanded([router]) if isinstance(router, str) else [router]
        policies += [PolicySpec.parse(one).build() if isinstance(one, str) else one for one in named]
    selections = Datasets(_path(data), encoder, protocol=protocol).select(targets)
    tasks = plan(
        selections, policies, protocol=protocol, encoder=encoder, seeds=seeds, tune=tune, train_sizes=train_sizes
    )
    with ResultStore(Path(results)) as store:
        execute(tasks, store, jobs=jobs, executor=executor, limits=limits)
        return store.runs({spec.key for task in tasks for spec in task.specs})


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
