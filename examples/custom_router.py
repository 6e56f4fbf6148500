"""A router of one's own, in a file of its own, beside the baselines.

    python examples/custom_router.py
    python examples/custom_router.py --data official --targets 'gsm8k/*/5'

On the command line it takes part under the same name, from the folder of this file:

    routereval run demo --router custom_router:Words --router knn --router oracle --tune
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import routereval as rv


@dataclass
class Words:
    """A model is as good on a prompt as the prompt's words say it is.

    What a word says of a model is how much better or worse than usual the model did on the training prompts that have
    the word, as if `doubt` more prompts with it had gone as usual. A prompt's score is the usual one plus the mean of
    what its words say.
    """

    # Whether a model's score does not depend on the rest of the pool; rv.ColumnwiseRouter makes use of it.
    columnwise: ClassVar[bool] = False
    # It reads texts; without this line it would be refused on data that have no embeddings.
    needs_embeddings: ClassVar[bool] = False
    # What `--tune` may try, best guesses first.
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"doubt": (3.0, 1.0, 10.0, 30.0)}

    doubt: float = 3.0

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Words:
        """Learn from training prompts: what was learned ends in ``_``."""
        if train.queries.texts is None:
            raise ValueError("Words reads the texts of prompts, and these data have none")
        self.usual_ = np.nan_to_num(train.target_means)
        # Prompts x models; nan where a model was not observed, which says nothing of it.
        surprise = np.nan_to_num(train.targets - self.usual_)
        sums: dict[str, np.ndarray] = {}
        counts: dict[str, int] = {}
        for text, row in zip(train.queries.texts, surprise, strict=True):
            for word in words_of(text):
                sums[word] = sums.get(word, 0.0) + row
                counts[word] = counts.get(word, 0) + 1
        self.says_ = {word: total / (counts[word] + self.doubt) for word, total in sums.items()}
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        """Scores, queries x models; the highest of a row is chosen."""
        nothing = np.zeros_like(self.usual_)
        scores = [
            self.usual_ + np.mean([self.says_.get(word, nothing) for word in words_of(text)] or [nothing], axis=0)
            for text in queries.texts or ()
        ]
        return rv.Prediction(np.array(scores))


def words_of(text: str) -> set[str]:
    """The different words of a text."""
    return set(re.findall(r"\w+", text.lower()))


def main() -> None:
    """Run it beside baselines, print the table, compare them in pairs."""
    parser = argparse.ArgumentParser(description="A router of one's own beside the baselines.")
    parser.add_argument("--data", help="folder of official data; without it the demo data")
    parser.add_argument("--targets", nargs="+", default=["demo_code/*/5"], help="suites, scenario ids, globs")
    parser.add_argument("--results", type=Path, default=Path("custom_router.sqlite"), help="what is there is not run")
    given = parser.parse_args()
    # By its import path, so that the stored runs say where to find it: what `routereval verify` and a change of this
    # file go by. rv.run takes Words(doubt=3.0) just as well.
    routers = ["custom_router:Words", "best_single", "knn:k=20", "ridge"]
    runs = rv.run(given.targets, [*routers, "oracle", "random"], data=given.data, results=given.results)
    for run in runs:
        if run.error:
            print(f"{run.spec.scenario}: {run.spec.router} failed: {run.error}")
    print(rv.tables(runs, metrics=["mu", "gap_closed"]))
    # From the file, which knows what prompts are near-duplicates.
    scenarios = sorted({run.spec.scenario for run in runs})
    print(rv.compare(given.results, routers=routers, scenarios=scenarios, oracles=False))


if __name__ == "__main__":
    main()
