"""Routers at work: fit one on a scenario, keep it in a folder, and ask it which model should answer a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.prediction import choose
from routereval.data.queries import Queries
from routereval.data.scenario import Scenario
from routereval.encoders import NONE, SHIPPED, EncoderSpec
from routereval.encoders.contract import Fitted
from routereval.encoders.embedding import embed
from routereval.encoders.spec import require
from routereval.errors import DataError, MissingDataError, ParameterError
from routereval.policies import is_reference, needs_embeddings, prepared
from routereval.results.database import versions
from routereval.routers.saving import SavedRouter, save_router
from routereval.tuning import described, tunable, tune_union
from routereval.union import unite


@dataclass(frozen=True, eq=False)
class Route:
    """Which model should answer one prompt.

    Parameters
    ----------
    model : the one chosen.
    scores : what the router says of each model, best first.
    """

    model: str
    scores: dict[str, float]


def fit_router(
    router: Any, scenario: Scenario, *, protocol: str = "strict", seed: int | None = None, tune: int = 0
) -> SavedRouter:
    """A router fitted on a scenario's training prompts, ready to be kept or asked.

    Raises
    ------
    ParameterError : a reference, which reads the answers and so has none for a new prompt.
    RouterError, MissingDataError : as :func:`routereval.evaluate`.
    """
    if is_reference(router):
        raise ParameterError(f"{described(router)[0]} reads the answers: it is a reference, no router to be kept")
    rules = protocols.protocol(protocol)
    union = unite([scenario], rules, extra=getattr(router, "uses_extra", False))
    fresh = prepared(router, rules, seed)
    notes: list[str] = []
    if tune and tunable(fresh):
        (tuned,) = tune_union(fresh, union, rules, seed, tune)
        fitted = tuned.router
        notes.append(f"tuned: {tuned.tuning}")
    else:
        fitted = fresh.fit(union.train, union.val)
    ties = getattr(fitted, "ties", rules.ties)
    embeddings = union.train.queries.embeddings
    about = {
        "router": described(router, tune)[0],
        "scenario": scenario.id,
        "data_hash": scenario.data_hash,
        "protocol": rules.name,
        "encoder": scenario.encoder,
        "dimensions": None if embeddings is None else embeddings.shape[1],
        "needs_embeddings": needs_embeddings(fitted),
        "training_prompts": len(union.train),
        "tie_breaker": np.nan_to_num(union.train.target_means).tolist() if ties == "train_mean" else None,
        "notes": notes + [str(note) for note in getattr(fitted, "notes_", ())],
        "versions": versions(),
    }
    return SavedRouter(fitted, scenario.pool.model_ids, about)


def keep(fitted: SavedRouter, folder: Path) -> Path:
    """Write it to a folder that is not there yet."""
    return save_router(fitted.router, folder, model_ids=fitted.model_ids, about=fitted.about)


def route(
    saved: SavedRouter,
    texts: Sequence[str],
    *,
    encoder: str | None = None,
    embeddings: NDArray[np.float32] | None = None,
) -> list[Route]:
    """Which model should answer each prompt.

    Parameters
    ----------
    encoder : what to embed the prompts with; None: the encoder the router was trained on.
    embeddings : (n, d) of the prompts, instead of embedding them.

    Raises
    ------
    MissingDataError : the router was trained on embeddings that came with the data, and nobody says how to make more.
    DataError : embeddings of another length than those it was trained on.
    """
    if not texts:
        return []
    if embeddings is None and saved.about.get("needs_embeddings", True):
        embeddings = _embedded(saved, texts, encoder)
    expected = saved.about.get("dimensions")
    if embeddings is not None and expected is not None and embeddings.shape != (len(texts), expected):
        raise DataError(
            f"the embeddings have shape {embeddings.shape}; this router was trained on {expected}-d ones and has "
            f"{len(texts)} prompts: use the encoder it was trained with ({saved.about.get('encoder')})"
        )
    queries = Queries(tuple(map(str, range(len(texts)))), embeddings, list(texts))
    scores = saved.router.predict(queries).check(len(texts), len(saved.model_ids)).scores
    ties = saved.about.get("tie_breaker")
    means = None if ties is None else np.asarray(ties, dtype=np.float64)
    chosen = choose(scores, means)
    routes = []
    for row, best in zip(scores, chosen, strict=True):
        order = sorted(range(len(row)), key=lambda i: (i != best, -row[i]))
        routes.append(Route(saved.model_ids[best], {saved.model_ids[i]: float(row[i]) for i in order}))
    return routes


def _embedded(saved: SavedRouter, texts: Sequence[str], encoder: str | None) -> NDArray[np.float32]:
    name = encoder or str(saved.about.get("encoder", SHIPPED))
    if name in (SHIPPED, NONE):
        raise MissingDataError(
            "this router was trained on embeddings that came with the data, and they do not say which encoder made "
            f"them; name it with --encoder (it gives {saved.about.get('dimensions')} dimensions), or give --embeddings"
        )
    spec = EncoderSpec.parse(name)
    built = spec.build(str(saved.about.get("protocol", "strict")))
    if isinstance(built, Fitted):
        raise MissingDataError(
            f"{name} is fitted on a benchmark's own prompts, so it cannot embed a new one alone; "
            "fit the router with another encoder, or give --embeddings"
        )
    require(spec.name, built)
    return embed(built, name, texts).vectors
