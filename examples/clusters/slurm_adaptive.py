"""RouterEval on Slurm with workers that come and go as there is work, through dask-jobqueue.

    pip install dask-jobqueue
    python examples/clusters/slurm_adaptive.py paper --data official --most 200

Workers are jobs of their own, as ``jobqueue.yaml`` beside this file describes them; copy it to
``~/.config/dask/jobqueue.yaml`` and put your queue and account into it, or leave it where it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import dask
import yaml
from dask_jobqueue import SLURMCluster
from distributed import Client

import routereval as rv
from routereval.runner.dask_cluster import crew_of

CONFIGURATION = Path(__file__).parent / "jobqueue.yaml"


def slurm_cluster() -> SLURMCluster:
    """A cluster without workers yet, as the configuration says; its dashboard is at any port that is free."""
    dask.config.update_defaults(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")))
    # RouterEval itself does a run again whose worker died, three times at most.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    return SLURMCluster(scheduler_options={"dashboard_address": ":0"})


def main() -> None:
    """Run a suite on as many workers as there is work for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", help="suites, scenario ids, globs, benchmarks")
    parser.add_argument("--data", help="folder with official router datasets")
    parser.add_argument("--router", action="append", help="repeatable; by default every router of the core")
    parser.add_argument("--most", type=int, default=64, help="how many workers at most")
    parser.add_argument("--results", default="routereval.sqlite")
    given = parser.parse_args()
    with slurm_cluster() as cluster, Client(cluster) as client:
        # Dask takes a run for half a second's work until it knows better: this asks for a worker for each.
        cluster.adapt(minimum=1, maximum=given.most, target_duration="250ms")
        print("waiting for the first worker, which is a job in the queue", flush=True)
        client.wait_for_workers(1)
        runs = rv.run(
            given.targets,
            given.router or ["core"],
            data=given.data,
            results=given.results,
            # Work is divided among, and handed out to, as many as will come.
            executor=crew_of(client, workers=given.most),
        )
    print(f"{len(runs)} runs, {sum(run.error is not None for run in runs)} of them failed; {given.results}")


if __name__ == "__main__":
    main()
