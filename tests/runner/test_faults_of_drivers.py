"""Drivers that are killed, interrupted, or have no room to write: nothing that was stored is lost, the rest is done."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KILLS = int(os.environ.get("ROUTEREVAL_KILLS", "3"))
"""How often the driver is killed; 50 takes some minutes."""


def test_a_driver_killed_at_random_moments_ends_with_the_file_of_an_undisturbed_one(site, eventually) -> None:
    # So many runs that some are left after the last one.
    seeds = [word for seed in range(max(3, KILLS)) for word in ("--seed", seed)]
    words = ("run", "demo_math/*/*", "-r", "faulty:Fine:seconds=0.1", "-r", "knn", "-r", "oracle", *seeds, "--jobs", 2)
    assert site.run(*words, "--results", "whole.sqlite").returncode == 0
    rng = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        process = site.start(*words, "--results", "r.sqlite")
        # Now and then while it starts or has nothing yet, mostly in the middle of things.
        before, enough = site.stored(), rng.choice([0, 1, 1, 4, 12])
        eventually(lambda: site.stored() >= before + enough or process.poll() is not None)  # noqa: B023
        try:
            process.wait(rng.uniform(0, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed == KILLS
    assert 0 < site.stored() < len(site.contents("whole.sqlite"))
    assert site.run(*words, "--results", "r.sqlite").returncode == 0
    assert site.contents() == site.contents("whole.sqlite")


def test_workers_end_with_the_driver_they_work_for(site, eventually, is_running) -> None:
    words = ("run", "demo_math/*/3", "-r", "faulty:Hangs", "--jobs", 2, "--results", "r.sqlite")
    process = site.start(*words)
    eventually(lambda: len(site.log("fit")) == 2)
    process.kill()
    process.wait()
    workers = [int(pid) for _, _, pid, _ in site.log("fit")]
    eventually(lambda: not any(map(is_running, workers)), 20)
    assert process.returncode == -signal.SIGKILL
    assert [pid for pid in workers if is_running(pid)] == []


def test_two_drivers_with_workers_may_write_to_one_file(site) -> None:
    words = ("run", "demo_math/*/*", "-r", "faulty:Fine:seconds=0.05", "-r", "oracle", "--jobs", 2)
    both = [site.start(*words, "--results", "r.sqlite") for _ in range(2)]
    assert [process.communicate()[1] and process.returncode for process in both] == [0, 0]
    assert site.run(*words, "--results", "whole.sqlite").returncode == 0
    assert site.contents() == site.contents("whole.sqlite")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_once_lets_what_runs_end_and_stores_it(site, eventually, jobs: int) -> None:
    words = ("run", "demo_math/*/*", "-r", "faulty:Fine:seconds=3", "--jobs", jobs, "--results", "r.sqlite")
    process = site.start(*words)
    eventually(lambda: len(site.log("fit")) == jobs)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 130, said
    assert "Ctrl-C again stops now" in said
    assert f"interrupted; {jobs} of 12 runs are stored in r.sqlite, the same command carries on" in said
    assert "Traceback" not in said
    assert set(site.errors().values()) == {None}
    assert len(site.log("fit")) == len(site.contents()) == jobs


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_twice_stops_now_and_keeps_what_had_ended(site, eventually, is_running, jobs: int) -> None:
    words = ("run", "demo_math/all_strong/3", "-r", "best_single", "-r", "faulty:Hangs", "--jobs", jobs)
    process = site.start(*words, "--results", "r.sqlite", "--events", "events.jsonl")
    eventually(lambda: site.log("fit Hangs") and site.stored())
    os.killpg(process.pid, signal.SIGINT)
    eventually(lambda: "stopping" in (site.folder / "events.jsonl").read_text())
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert {router for router, _ in site.errors()} == {"best_single"}
    eventually(lambda: not any(is_running(int(pid)) for _, _, pid, _ in site.log("fit")), 5)


@contextmanager
def mounted(*words: str, at: Path) -> Iterator[None]:
    """Something mounted for a while; skips where one may not."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    at.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *words, str(at)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_keeps_what_is_stored_and_the_same_command_carries_on(site, jobs: int) -> None:
    seeds = [word for seed in range(8) for word in ("--seed", seed)]
    words = ("run", "demo_math/*/*", "-r", "faulty:Fine", *seeds, "--jobs", jobs)
    small = site.folder / "small"
    with mounted("-t", "tmpfs", "-o", "size=400k", "none", at=small):
        full = site.run(*words, "--results", "small/r.sqlite")
        assert full.returncode == 2
        assert "database or disk is full; free some space; every run that had ended is stored" in full.stderr
        assert "Traceback" not in full.stderr
        kept = site.stored("small/r.sqlite")
        assert 0 < kept < 96
        subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
        more = site.run(*words, "--results", "small/r.sqlite")
        assert more.returncode == 0, more.stderr
        assert f"96 runs: {96 - kept} new, {kept} stored" in more.stderr
        assert site.run(*words, "--results", "whole.sqlite").returncode == 0
        assert site.contents("small/r.sqlite") == site.contents("whole.sqlite")


def test_a_read_only_store_and_a_read_only_data_folder_are_enough_to_run(site) -> None:
    home, data = site.folder / "home", site.folder / "data"
    with mounted("-t", "tmpfs", "none", at=home), mounted("-t", "tmpfs", "none", at=data):
        rows = [f"{p},text number {p},m{m},{(p * m) % 3 == 0:d}" for p in range(60) for m in range(4)]
        (data / "scores.csv").write_text("\n".join(["prompt,text,model,score", *rows]))
        words = ("run", "data/scores.csv", "-r", "knn", "-r", "faulty:Fine", "--encoder", "hashing")
        first = site.run(*words, "--results", "1.sqlite", ROUTEREVAL_HOME=str(home))
        assert first.returncode == 0, first.stderr
        for folder in (home, data):
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for jobs in (1, 2):
            again = site.run(*words, "--jobs", jobs, "--results", f"ro{jobs}.sqlite", ROUTEREVAL_HOME=str(home))
            assert again.returncode == 0, again.stderr
            assert site.contents(f"ro{jobs}.sqlite") == site.contents("1.sqlite")


JUMPING = """
import datetime, itertools, os, time
calls, real = itertools.count(), time.time
def jumping(): return real() - 3600 * (next(calls) // 3)
time.time, time.time_ns = jumping, lambda: int(jumping() * 1e9)
class Jumping(datetime.datetime):
    __slots__ = ()
    @classmethod
    def now(cls, tz=None): return cls.fromtimestamp(jumping(), tz)
if "ROUTEREVAL_WORKER" not in os.environ:  # workers date nothing, and compiled modules in them want the real class
    datetime.datetime = Jumping
"""
"""A clock that is set back an hour at every third look."""


def test_a_clock_that_jumps_back_changes_nothing_but_dates(site) -> None:
    (site.folder / "clock").mkdir()
    (site.folder / "clock" / "sitecustomize.py").write_text(JUMPING)
    words = ("run", "demo_math/*/3", "-r", "faulty:Fine:seconds=0.2", "-r", "knn", "--timeout", 60)
    words = (*words, "--results", "r.sqlite", "--events", "events.jsonl")
    done = site.run(*words, PYTHONPATH=str(site.folder / "clock"))
    assert done.returncode == 0, done.stderr
    times = [str(event["time"]) for event in site.events()]
    assert times != sorted(times)
    # In dates too: a suite of seconds that was stored over hours.
    assert len({date[:13] for date in site.dates()}) > 1
    assert site.run(*words[:8], "--results", "whole.sqlite").returncode == 0
    assert site.contents() == site.contents("whole.sqlite")
    # Nor do dates say which runs there are and how they are shown.
    shown = [site.run("results", name) for name in ("r.sqlite", "whole.sqlite")]
    assert shown[0].returncode == 0, shown[0].stderr
    assert shown[0].stdout == shown[1].stdout


def test_bits_flipped_in_the_store_are_found_named_and_made_again(site) -> None:
    home = {"ROUTEREVAL_HOME": str(site.folder / "home")}
    words = ("run", "demo_math/all_strong/3", "-r", "knn")
    assert site.run(*words, "--results", "whole.sqlite", **home).returncode == 0
    for options in ("", "--jobs 2", "--memory-limit 8GB"):
        (path,) = site.folder.glob("home/store/*/bits.npy")
        content = bytearray(path.read_bytes())
        content[-1] ^= 255
        path.write_bytes(content)
        if not options:
            verified = site.run("verify", "whole.sqlite", **home)
            assert verified.returncode == 1
            assert "bits.npy has sha256" in verified.stdout
            assert "remove the folder, and it is made again from synthetic data (demo_math) by" in verified.stdout
        done = site.run(*words, *options.split(), "--results", f"r{options}.sqlite", **home)
        assert done.returncode == 0, done.stderr
        assert re.search(r"is damaged: bits\.npy has sha256 .* was written; it is made again", done.stderr)
        assert site.contents(f"r{options}.sqlite") == site.contents("whole.sqlite")
