"""How many prompts a second the encoders of the core embed, and how many are found again once they are known.

    python benchmarks/encoders.py mmlu_pro_wide.parquet

The first 3,000 texts of a table. Seconds are those of the processors, all threads together, loading and the cache
included; tfidf_svd is fitted on all of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable

import routereval as rv
from routereval.encoders.embedding import Embedding, embed
from routereval.encoders.spec import EncoderSpec

PROMPTS = 3_000


def timed(work: Callable[[], Embedding]) -> tuple[float, Embedding]:
    """Seconds of processor time, and what came of it."""
    start = time.process_time()
    made = work()
    return time.process_time() - start, made


def main(table: str) -> None:
    texts = list(rv.load_table(table, encoder="none").queries.texts or ())[:PROMPTS]
    print(f"{len(texts)} prompts of {sum(map(len, texts)) / len(texts):.0f} characters in the mean")
    for name in ("hashing", "wordllama", "tfidf_svd"):
        encoder = EncoderSpec.parse(name).build()
        new, made = timed(lambda encoder=encoder, name=name: embed(encoder, name, texts, fit_on=texts))
        known, again = timed(lambda encoder=encoder, name=name: embed(encoder, name, texts, fit_on=texts))
        assert again.encoded == 0
        print(
            f"{name:10} {made.vectors.shape[1]:4}-d  {made.encoded / new:8,.0f} new a second"
            f"  {len(texts) / known:8,.0f} known a second"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["ROUTEREVAL_HOME"] = home
        main(sys.argv[1])
