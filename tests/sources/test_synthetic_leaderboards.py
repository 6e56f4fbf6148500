"""Made-up leaderboards: the official formats, read back by the official reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from routereval import facts
from routereval.errors import DataError, ParameterError
from routereval.sources import leaderboards
from routereval.sources.synthetic_leaderboards import synthesize


def test_they_are_read_like_the_official_ones(tmp_path: Path) -> None:
    made = synthesize(tmp_path, share=0.01, dimensions=8)
    assert len(made) == 9
    assert leaderboards.benchmarks(tmp_path) == {b.key: b.leaderboard for b in facts.benchmarks().values()}
    for key, known in facts.benchmarks().items():
        data = leaderboards.load(key, tmp_path)
        assert data.scores.shape == (
            sum(max(1, round(n * 0.01)) for n in known.subsets.values()),
            round(known.models * 0.01),
        )
        assert data.queries.require_embeddings().shape[1] == 8
        assert data.queries.texts is not None
        assert data.scores.binary is (key != "harness_truthfulqa_mc_0")
        assert 0.2 < np.mean(data.scores.model_means) < 0.8


def test_equal_seeds_give_equal_files_and_others_others(tmp_path: Path) -> None:
    first, again, other = (
        [path.read_bytes() for path in synthesize(tmp_path / name, share=0.003, dimensions=4, seed=seed)]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    synthesize(tmp_path, share=0.003, dimensions=4)
    with pytest.raises(DataError, match="is there already"):
        synthesize(tmp_path, share=0.003, dimensions=4)
    with pytest.raises(ParameterError, match="share is 2"):
        synthesize(tmp_path / "other", share=2)
