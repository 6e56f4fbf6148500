"""Synthetic leaderboards in the published files' formats and, if asked for, at their size: to run the whole path on."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts
from routereval.errors import DataError, ParameterError
from routereval.seeding import generator
from routereval.sources.synthetic import Synthetic, SyntheticSpec

GRADED = ("harness_truthfulqa_mc_0",)
ENCODER = "RoBERTa"
DIMENSIONS = 768


def synthesize(
    out: Path,
    *,
    share: float = 1.0,
    dimensions: int = DIMENSIONS,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write the score, prompt and embedding files of all three leaderboards; returns their paths.

    Parameters
    ----------
    share : of the published numbers of models and of each subset's prompts; 1 makes 201,715,850 records.
    dimensions : of the embeddings.
    advance : called for each benchmark.

    Raises
    ------
    ParameterError : a share that is not in (0, 1].
    DataError : the folder holds such files already, or cannot be written.
    """
    if not 0 < share <= 1:
        raise ParameterError(f"share is {share}; it must be above 0 and at most 1")
    published = facts.benchmarks().values()
    made: list[Path] = []
    try:
        for leaderboard in dict.fromkeys(b.leaderboard for b in published):
            members = [b for b in published if b.leaderboard == leaderboard]
            models = [f"synthetic__model-{i:04d}" for i in range(max(2, round(members[0].models * share)))]
            scores: dict[str, Any] = {}
            texts: dict[str, Any] = {}
            embeddings: dict[str, Any] = {}
            for benchmark in members:
                sizes = {name: max(1, round(n * share)) for name, n in benchmark.subsets.items()}
                spec = SyntheticSpec(
                    benchmark.key,
                    *(sum(sizes.values()), len(models), 8, dimensions),
                    graded=benchmark.key in GRADED,
                    seed=seed,
                )
                world = Synthetic(spec)
                rng = generator("synthetic leaderboard", benchmark.key, seed)
                drawn, said, vectors = world.scores(rng), world.texts(rng), world.embeddings(rng)
                start = 0
                for name, n in sizes.items():
                    rows = slice(start, start + n)
                    scores[name] = {"correctness": _Float64(drawn[rows])}
                    texts[name] = np.array(said[rows], dtype=object)
                    embeddings[name] = vectors[rows]
                    start += n
                advance()
            for folder, file, value in (
                ("leaderboard_score", f"leaderboard_{leaderboard}.pkl", {"model": models, "data": scores}),
                ("leaderboard_prompt", f"leaderboard_{leaderboard}_prompt.pkl", texts),
                ("leaderboard_embed", f"leaderboard_{leaderboard}_embed/{ENCODER}_result.pkl", embeddings),
            ):
                made.append(_write(value, out / folder / file))
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror or error}") from error
    return made


class _Float64:
    """Scores that are turned into the published float64 only while they are written, a subset at a time."""

    def __init__(self, values: NDArray[Any]):
        self._values = values

    def __reduce__(self) -> Any:
        return self._values.astype(np.float64).__reduce__()


def _write(value: Any, path: Path) -> Path:
    if path.exists():
        raise DataError(f"{path} is there already; remove it, or write somewhere else")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            pickler = pickle.Pickler(file, protocol=4)
            # Without a memo, which would keep every array's bytes until the end.
            pickler.fast = True
            pickler.dump(value)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return path
