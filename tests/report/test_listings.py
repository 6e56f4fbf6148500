"""What `show` says of a benchmark."""

from __future__ import annotations

from pathlib import Path

from routereval.datasets import Datasets
from routereval.report.listings import details


def test_planes_are_listed_with_the_share_of_known_cells_and_their_mean(tmp_path: Path) -> None:
    rows = [f"q{i},{model},{i % 2},{'' if i < 5 else j + 1}" for i in range(20) for j, model in enumerate("ab")]
    path = tmp_path / "mine.csv"
    path.write_text("prompt_id,model,score,cost\n" + "\n".join(rows))
    assert details(str(path), Datasets())["planes"] == {"cost_usd": "75.0% known, mean 1.5"}
    assert details("demo_math", Datasets())["planes"] is None
