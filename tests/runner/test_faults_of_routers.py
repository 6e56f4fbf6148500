"""Routers that take their process down, hang, leak, print or fork cost their own run and no other."""

from __future__ import annotations

import json
import time

import pytest

SCENARIO = "demo_math/all_strong/3"
# No retry is quick: a process starts in a second or more. One command does for all that die.


def test_a_worker_killed_mid_run_is_replaced_and_the_run_done_elsewhere(site) -> None:
    done = site.run("run", SCENARIO, "-r", "faulty:DiesOnce", "-r", "faulty:Fine", "--jobs", 2, "--results", "r.sqlite")
    assert done.returncode == 0, done.stderr
    assert set(site.errors().values()) == {None}
    pids = [pid for _, name, pid, _ in site.log("fit") if name == "DiesOnce"]
    assert len(pids) == len(set(pids)) == 2
    assert "again: faulty:DiesOnce on demo_math/all_strong/3: the worker process was killed by SIGKILL" in done.stderr


def test_what_kills_every_worker_is_tried_three_times_more_then_failed_with_the_reason(site) -> None:
    words = ("run", SCENARIO, "-r", "faulty:Exits", "-r", "knn", "--jobs", 2, "--results", "r.sqlite")
    done = site.run(*words, "--events", "events.jsonl")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(site.log("fit Exits")) == 4
    errors = site.errors()
    assert errors["knn", SCENARIO] is None
    assert errors["faulty:Exits", SCENARIO] == (
        "WorkerError: the worker process ended by itself with exit status 7; so it went 4 times"
    )
    kinds = [event["event"] for event in site.events()]
    assert (kinds[0], kinds[-1], kinds.count("retry"), kinds.count("run")) == ("begin", "end", 3, 2)


def test_one_pool_that_kills_its_worker_does_not_take_those_along_that_share_its_fit(site) -> None:
    words = ("run", "demo_math/*/3", "demo_math/all_strong/100", "-r", "faulty:Together")
    done = site.run(*words, "--jobs", 2, "--results", "r.sqlite")
    assert done.returncode == 1
    failed = {scenario for (_, scenario), error in site.errors().items() if error}
    assert failed == {"demo_math/all_strong/100"}


def test_a_router_that_hangs_is_ended_after_the_timeout_and_not_tried_again(site) -> None:
    start = time.monotonic()
    words = ("run", SCENARIO, "-r", "faulty:Hangs", "-r", "faulty:Fine", "--timeout", 10, "--results", "r.sqlite")
    done = site.run(*words)
    assert done.returncode == 1
    assert time.monotonic() - start < 120
    assert len(site.log("fit Hangs")) == 1
    errors = site.errors()
    assert errors["faulty:Fine", SCENARIO] is None
    assert errors["faulty:Hangs", SCENARIO] == "LimitError: took longer than 10 seconds"


def test_a_router_that_leaks_is_ended_at_the_memory_limit(site) -> None:
    words = ("run", SCENARIO, "-r", "faulty:Leaks", "-r", "faulty:Fine", "--memory-limit", "700MB")
    done = site.run(*words, "--results", "r.sqlite")
    assert done.returncode == 1
    errors = site.errors()
    assert errors["faulty:Fine", SCENARIO] is None
    found = str(errors["faulty:Leaks", SCENARIO])
    assert found.startswith("LimitError: took ")
    assert found.endswith("of memory; at most 700 MB were allowed")
    assert len(site.log("fit Leaks")) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_megabytes_that_a_router_prints_are_not_in_the_table(site, jobs: int) -> None:
    words = ("run", SCENARIO, "-r", "faulty:Prints", "-r", "faulty:Fine", "--jobs", jobs, "--results", "r.sqlite")
    done = site.run(*words, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads(done.stdout)) == 2
    # In a process of its own nobody sees it; here, on standard error, it may be what somebody looks for.
    for said in ("xxxx", "yyyy", "zzzz", "from C", "past redirection"):
        assert (said in done.stderr) == (jobs == 1)


def test_quiet_says_nothing_while_it_runs(site) -> None:
    words = ("run", SCENARIO, "-r", "faulty:DiesOnce", "--memory-limit", "8GB", "--results", "r.sqlite", "--quiet")
    done = site.run(*words)
    assert done.returncode == 0, done.stderr
    assert len(site.log("fit DiesOnce")) == 2
    # What it will do is said before; that a worker died, and that it goes on, is not.
    assert "1 runs: 1 new" in done.stderr
    assert "running:" not in done.stderr
    assert "again" not in done.stderr
    assert "faulty:DiesOnce" in done.stdout


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_copy_that_a_router_forks_stores_nothing_and_does_not_live_on(site, jobs: int) -> None:
    words = ("run", "demo_math/*/3", "-r", "faulty:Forks", "--jobs", jobs, "--results", "r.sqlite", "--json")
    done = site.run(*words)
    assert done.returncode == 0, done.stderr
    assert len(site.contents()) == 3
    assert done.stdout.count('"scenario"') == 3


def test_what_a_router_forked_and_left_running_ends_with_its_worker(site, eventually, is_running) -> None:
    words = ("run", SCENARIO, "-r", "faulty:Forks:seconds=1", "-r", "faulty:Fine", "--jobs", 2, "--results", "r.sqlite")
    assert site.run(*words).returncode == 0
    forked = [int(pid) for _, pid in site.log("forked")]
    assert len(forked) == 1
    eventually(lambda: not any(map(is_running, forked)), 5)


def test_a_daemon_that_a_router_made_ends_with_its_worker(site, eventually, is_running) -> None:
    words = ("run", SCENARIO, "-r", "faulty:Daemons", "-r", "faulty:Fine", "--jobs", 2, "--results", "r.sqlite")
    assert site.run(*words).returncode == 0
    ((_, daemon),) = site.log("forked")
    eventually(lambda: not is_running(int(daemon)), 5)


def test_a_daemon_that_a_router_made_ends_with_the_driver(site, eventually, is_running) -> None:
    process = site.start("run", SCENARIO, "-r", "faulty:Daemons:seconds=1", "--memory-limit", "8GB")
    eventually(lambda: site.log("forked"))
    ((_, daemon),) = site.log("forked")
    assert is_running(int(daemon))
    process.kill()
    process.wait()
    eventually(lambda: not is_running(int(daemon)), 20)


def test_the_last_words_of_a_process_that_died_are_part_of_the_reason(site) -> None:
    (site.folder / "talks.py").write_text(
        "import os\nfrom faulty import Base\n\n\nclass Talks(Base):\n    def act(self):\n"
        "        print('out of luck', flush=True)\n        os.abort()\n"
    )
    words = ("run", SCENARIO, "-r", "talks:Talks", "--memory-limit", "4GB", "--results", "r.sqlite")
    site.run(*words)
    (error,) = site.errors().values()
    assert "was killed by SIGABRT; the last it printed: out of luck" in str(error)
