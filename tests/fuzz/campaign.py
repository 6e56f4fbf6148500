"""Fuzz one reader for some minutes and say what came of it.

    python tests/fuzz/campaign.py --reader tables-csv --minutes 10 --seed 0 --corpus FOLDER

Guided by coverage where atheris is installed (``pip install atheris``), else at random. Inputs that reach new code are
kept in FOLDER/READER/inputs and findings in FOLDER/READER/findings, both to begin from the next time; what was tried is
summed up in FOLDER/READER/summary.json. The fuzzing process may use 1 GB more memory than it begins with; one that
crashes or does not answer is a finding, and the next one goes on.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib
import json
import pkgutil
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from routereval import kernels

MEMORY = 2**30
MEMORY_DISK = "/dev/shm"
SILENT_SECONDS = 120.0
"""How long a process may work on one input before it is taken for stuck."""
STARTING_SECONDS = 900.0
LONGEST = 100_000
"""Bytes of an input."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", help="its name, or all: one after another")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="print what the summaries in FOLDER say, and fuzz nothing")
    parser.add_argument("--one-process", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.table:
        print(_table(given.corpus))
        return
    for reader in _names() if given.reader == "all" else [given.reader]:
        folder = given.corpus.resolve() / reader
        (folder / "findings").mkdir(parents=True, exist_ok=True)
        (folder / "inputs").mkdir(exist_ok=True)
        if given.one_process:
            _fuzz(reader, folder, given.minutes * 60, given.seed)
        else:
            print(json.dumps(_campaign(reader, folder, given.minutes * 60, given.seed), indent=1), flush=True)


def _names() -> list[str]:
    from fuzzing.catalogue import READERS

    return list(READERS)


def _table(corpus: Path) -> str:
    """The summaries of a campaign as a table in Markdown."""
    found = {path.parent.name: json.loads(path.read_text()) for path in corpus.glob("*/summary.json")}
    rows = ["| reader | inputs | minutes | of these computing | inputs that reached new code | findings |"]
    rows.append("|---|---:|---:|---:|---:|---:|")
    for name in (name for name in _names() if name in found):
        one = found[name]
        times = f"{one['minutes']:.1f} | {one['processor_minutes']:.1f}"
        rows.append(f"| {name} | {one['inputs']:,} | {times} | {one['kept_inputs']} | {len(one['findings'])} |")
    return "\n".join(rows)


def _campaign(reader: str, folder: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Fuzz in processes of their own, one after another, until the time is up."""
    # What was done in this folder before counts, also where it was broken off.
    summed = json.loads(_text_of(folder / "summary.json") or "{}")
    earlier = json.loads(_text_of(folder / "progress.json") or "{}")
    inputs = summed.get("inputs", 0) + earlier.get("inputs", 0)
    cpu = 60 * summed.get("processor_minutes", 0.0) + earlier.get("cpu_seconds", 0.0)
    before = 60 * summed.get("minutes", 0.0) + earlier.get("seconds", 0.0)
    processes = summed.get("processes", 0) + bool(earlier)
    fuzzed = 0.0
    engine = "none"
    while (left := seconds - fuzzed) > 0.02 * seconds:  # to begin anew takes longer
        (folder / "current").unlink(missing_ok=True)
        (folder / "progress.json").unlink(missing_ok=True)
        command = [sys.executable, __file__, "--reader", reader, "--minutes", str(left / 60), "--one-process"]
        log = folder / "log.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--seed", str(seed + processes), "--corpus", str(folder.parent)], stdout=out, stderr=out
            )
            stuck = _watched(process, folder / "current")
        processes += 1
        progress = json.loads(_text_of(folder / "progress.json") or "{}")
        inputs += progress.get("inputs", 0)
        cpu += progress.get("cpu_seconds", 0.0)
        fuzzed += progress.get("seconds", 0.0)
        engine = progress.get("engine", engine)
        if stuck or process.returncode:
            _record_crash(folder, process.returncode, stuck, _text_of(log))
        if not progress.get("inputs"):
            break  # it does not even begin
    summary = {
        "reader": reader,
        "engine": engine,
        "minutes": round((before + fuzzed) / 60, 1),
        "processor_minutes": round(cpu / 60, 1),
        "inputs": inputs,
        "kept_inputs": len(list((folder / "inputs").iterdir())),
        "processes": processes,
        "seed": seed,
        "findings": sorted(path.read_text().splitlines()[0] for path in (folder / "findings").glob("*.txt")),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (folder / "progress.json").unlink(missing_ok=True)
    return summary


def _watched(process: subprocess.Popen[bytes], current: Path) -> bool:
    """Wait for a process; whether it had to be killed because it was stuck on one input."""
    began = time.time()
    while True:
        try:
            process.wait(timeout=2)
            return False
        except subprocess.TimeoutExpired:
            pass
        begun = current.exists()
        last, most = (current.stat().st_mtime, SILENT_SECONDS) if begun else (began, STARTING_SECONDS)
        if time.time() - last > most:
            process.kill()
            process.wait()
            return begun


def _record_crash(folder: Path, code: int, stuck: bool, log: str) -> None:
    current = folder / "current"
    if not current.exists():
        return
    frames = re.findall(r'File "[^"]*/(routereval/[^"]*)", line \d+ in (\w+)', log)
    where = f"{Path(frames[0][0]).name}:{frames[0][1]}" if frames else "nowhere of ours"
    what = "stuck" if stuck else f"crash ({signal.Signals(-code).name})" if code < 0 else f"exit {code}"
    _keep(folder, f"{folder.name}: {what} at {where}", log[-3000:], current.read_bytes())


def _keep(folder: Path, kind: str, detail: str, data: bytes) -> None:
    """Write down a finding, the smallest input of each kind."""
    path = folder / "findings" / hashlib.sha256(kind.encode()).hexdigest()[:12]
    if not path.exists() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(f"{kind}\n{detail}\n", errors="backslashreplace")


def _text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _fuzz(name: str, folder: Path, seconds: float, seed: int) -> None:
    """Fuzz in this process until the time is up, or until it breaks."""
    faulthandler.enable()
    try:
        import atheris
    except ImportError:
        atheris = None
    # Kernels are compiled from their bytecode, which has to stay as it is.
    for module in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}."):
        importlib.import_module(module.name)
    guided = nullcontext() if atheris is None else atheris.instrument_imports(["routereval"])
    scratch = Path(tempfile.mkdtemp(prefix="fuzzing-", dir=MEMORY_DISK if Path(MEMORY_DISK).is_dir() else None))
    with guided:
        from fuzzing.catalogue import READERS
        from fuzzing.files import packed, unpacked
        from fuzzing.formats import mutated
        from fuzzing.parquet_server import install
        from fuzzing.promise import broken_by

        install()
        reader = READERS[name]
        (scratch / "seeds").mkdir()
        seeds = reader.seeds(scratch / "seeds")
        for files in seeds:  # once, so that whatever is imported on first use is there, and counts
            broken_by(reader, files, scratch / "first", 300.0)
            shutil.rmtree(scratch / "first", ignore_errors=True)
    kept = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpus" / name).glob("*"))]
    for data in (*map(packed, seeds), *kept):
        (folder / "inputs" / hashlib.sha1(data).hexdigest()).write_bytes(data)
    _limit_memory()
    began = time.monotonic()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_before = usage.ru_utime + usage.ru_stime
    count = 0

    def tell() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        engine = "random" if atheris is None else "atheris"
        progress = {
            "inputs": count,
            "seconds": time.monotonic() - began,
            "cpu_seconds": used.ru_utime + used.ru_stime - cpu_before,
            "engine": engine,
        }
        (folder / "progress.json").write_text(json.dumps(progress))

    def one(data: bytes) -> None:
        nonlocal count
        files = unpacked(data)
        if files is None:
            return
        (folder / "current").write_bytes(data)
        place = scratch / str(count)
        finding = broken_by(reader, files, place)
        shutil.rmtree(place, ignore_errors=True)
        if finding is not None:
            _keep(folder, finding.kind, finding.detail, data)
        count += 1
        if count < 20 or count % 50 == 0:
            tell()

    def another(data: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        files = unpacked(data) or rng.choice(seeds)
        for _ in range(rng.choice((1, 1, 2, 4))):
            files = mutated(files, rng, rng.choice(seeds))
        new = packed(files)
        return new if len(new) <= most else data

    try:
        if atheris is None:
            rng = random.Random(seed)
            inputs = [packed(files) for files in seeds] + kept
            while time.monotonic() - began < seconds:
                one(another(rng.choice(inputs), LONGEST, rng.randrange(2**32)))
        else:
            options = {"max_total_time": max(1, int(seconds)), "seed": seed + 1, "timeout": 10**6, "max_len": LONGEST}
            options |= {"len_control": 0, "rss_limit_mb": 0, "print_final_stats": 1, "reload": 0}
            arguments = [f"-{key}={value}" for key, value in options.items()]
            atheris.Setup([sys.argv[0], *arguments, str(folder / "inputs")], one, custom_mutator=another)
            atheris.Fuzz()
    finally:
        tell()
        shutil.rmtree(scratch, ignore_errors=True)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 2**20
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
