"""Routers at work: fit one on a scenario, keep it in a folder, and ask it which model should answer a prompt."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
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
from routereval.errors import DataError, MissingDataError, ParameterError, RouterError, RouterEvalError
from routereval.policies import is_reference, needs_embeddings, prepared
from routereval.results.database import versions
from routereval.routers.importing import strangers
from routereval.routers.saving import SavedRouter, save_router
from routereval.routers.uniroute import Measured, UniRoute
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
    RouterError : as :func:`routereval.evaluate`, and where it needs of a prompt what a new one does not have.
    MissingDataError : as :func:`routereval.evaluate`.
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
    _try_on_a_new_prompt(fitted, union.train.queries, described(router, tune)[0], scenario.m)
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


def _try_on_a_new_prompt(fitted: Any, known: Queries, name: str, m: int) -> None:
    """Predict one prompt of which there is what :func:`route` has: better refused now than when it is asked."""
    vectors = known.embeddings[:1] if needs_embeddings(fitted) and known.embeddings is not None else None
    query = Queries(("new",), vectors, [known.texts[0] if known.texts else "a prompt"])
    try:
        fitted.predict(query).check(1, m)
    except Exception as error:  # a router may be anybody's
        # What stands behind the ";" is for data that lack something: a new prompt always does.
        reason = str(error).split(";")[0] if isinstance(error, MissingDataError) else f"{type(error).__name__}: {error}"
        raise RouterError(
            f"{name} cannot route new prompts, so there is nothing to keep it for: a new prompt has a text and what an "
            f"encoder makes of it, but no subset and no place in the benchmark ({reason}). "
            "routereval run measures it on the benchmark's own prompts"
        ) from error


def keep(fitted: SavedRouter, folder: Path) -> Path:
    """Write it to a folder that is not there yet."""
    return save_router(fitted.router, folder, model_ids=fitted.model_ids, about=fitted.about)


def join_model(saved: SavedRouter, name: str, measured: Measured, *, encoder: str | None = None) -> SavedRouter:
    """The same router with one more model to choose from, the last; nothing is learned again.

    Among equal scores the model counts with one minus its mean error over the clusters.

    Parameters
    ----------
    measured : the model's error vector (clusters,), or prompts and its scores on them, (n,), nan where not observed.
    encoder : what to embed prompts that come without embeddings with; None: the encoder the router was trained on.

    Raises
    ------
    RouterError : a router that would have to be fitted again.
    DataError : as :meth:`UniRoute.with_model`; embeddings of another length than those it was trained on.
    MissingDataError : as :func:`route`.
    """
    router = saved.router
    if not isinstance(router, UniRoute):
        raise RouterError(
            f"{type(router).__name__} takes no new model without being fitted again; fit it with the model, or fit "
            "--router uniroute or uniroute_learned, which a model can join"
        )
    if isinstance(measured, tuple):
        queries, scores = measured
        embeddings = queries.embeddings
        if embeddings is None and queries.texts is not None:
            embeddings = _embedded(saved, queries.texts, encoder)
        measured = router.error_vector(replace(queries, embeddings=_of_its_length(saved, embeddings, queries)), scores)
    joined, means, notes = router.with_model(name, measured), _tie_breaker(saved), saved.about.get("notes")
    more: dict[str, Any] = {"notes": [*(notes if isinstance(notes, list) else ()), f"{name} joined after the fit"]}
    if means is not None:
        more["tie_breaker"] = [*means.tolist(), 1 - float(np.mean(measured))]
    return SavedRouter(joined, (*saved.model_ids, name), {**saved.about, **more})


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
    DataError : embeddings of another length than those it was trained on; a saved router that is damaged.
    """
    if not texts:
        return []
    if embeddings is None and saved.about.get("needs_embeddings", True):
        embeddings = _embedded(saved, texts, encoder)
    embeddings = _of_its_length(saved, embeddings, texts)
    queries = Queries(tuple(map(str, range(len(texts)))), embeddings, list(texts))
    means = _tie_breaker(saved)
    scores = _scores(saved, queries)
    chosen = choose(scores, means)
    routes = []
    for row, best in zip(scores, chosen, strict=True):
        order = sorted(range(len(row)), key=lambda i: (i != best, -row[i]))
        routes.append(Route(saved.model_ids[best], {saved.model_ids[i]: float(row[i]) for i in order}))
    return routes


def _of_its_length(
    saved: SavedRouter, embeddings: NDArray[np.float32] | None, prompts: Sized
) -> NDArray[np.float32] | None:
    """The embeddings, if there are any, as long as those the router was trained on."""
    expected = saved.about.get("dimensions")
    if embeddings is not None and expected is not None and embeddings.shape != (len(prompts), expected):
        raise DataError(
            f"the embeddings have shape {embeddings.shape}; this router was trained on {expected}-d ones and has "
            f"{len(prompts)} prompts: use the encoder it was trained with ({saved.about.get('encoder')})"
        )
    return embeddings


def _scores(saved: SavedRouter, queries: Queries) -> NDArray[np.floating]:
    """What the router says of each prompt and model, (n, m); what it has learned may be anything a file holds."""
    try:
        prediction = saved.router.predict(queries)
        columns = np.shape(prediction.scores)[1:]
        if columns and columns != (len(saved.model_ids),):
            raise DataError(
                f"the saved router is damaged: it scores {columns[0]} models and names "
                f"{len(saved.model_ids)}; fit the router again"
            )
        scores: NDArray[np.floating] = prediction.check(len(queries), len(saved.model_ids)).scores
        return scores
    except RouterEvalError:
        raise
    except Exception as error:  # a router may be anybody's
        raise RouterError(
            f"{type(saved.router).__name__} cannot route these prompts ({type(error).__name__}: {error}); "
            "if it was read from a folder, that is damaged or of another version: fit the router again"
        ) from error


def _tie_breaker(saved: SavedRouter) -> NDArray[np.float64] | None:
    """What decides between equal scores, (m,); a file may hold anything there."""
    ties, m = saved.about.get("tie_breaker"), len(saved.model_ids)
    if ties is None:
        return None
    try:
        means = np.asarray(ties, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        means = np.empty(0)
    if means.shape != (m,) or not np.isfinite(means).all():
        raise DataError(
            f"the saved router is damaged: its about.tie_breaker is {str(ties)[:60]!r}; expected {m} numbers, "
            "one per model; fit the router again"
        )
    return means


def how_to_ask(saved: SavedRouter, folder: Path) -> str:
    """The command that asks a kept router, with what it needs to be read and to embed a new prompt."""
    name = str(saved.about.get("encoder", SHIPPED))
    trust = "".join(f" --trust {path}" for path in strangers(saved.router))
    ask = f'routereval route --router {folder}{trust} "a prompt"'
    if not saved.about.get("needs_embeddings", True):
        return f"ask it: {ask}"
    if name in (SHIPPED, NONE):
        return (
            "its embeddings came with the data, so say what makes those of a new prompt: "
            f"{ask} --encoder NAME (the one that made them, of {saved.about.get('dimensions')} dimensions) or "
            "--embeddings FILE.npy; or fit with --encoder, of which `routereval list encoders` has the names"
        )
    if isinstance(EncoderSpec.parse(name).build(str(saved.about.get("protocol", "strict"))), Fitted):
        return (
            f"{name} is fitted on the benchmark's own prompts, so bring the embeddings of a new one: "
            f"{ask} --embeddings FILE.npy; or fit with another --encoder"
        )
    return f"ask it: {ask}"


def _embedded(saved: SavedRouter, texts: Sequence[str], encoder: str | None) -> NDArray[np.float32]:
    name = encoder or str(saved.about.get("encoder", SHIPPED))
    if name in (SHIPPED, NONE):
        raise MissingDataError(
            "this router was trained on embeddings that came with the data, and they do not say which encoder made "
            f"them; name it with --encoder (it gives {saved.about.get('dimensions')} dimensions), or give --embeddings"
        )
    spec = EncoderSpec.parse(name)
    built = spec.build(str(saved.about.get("protocol", "strict")))
    if encoder is None and built.remote:
        # Where prompts are sent is for whoever asks to say, not for a folder that may come from anywhere.
        raise MissingDataError(
            f"this router wants prompts to be embedded by a server; if that is meant: --encoder {name}"
        )
    if isinstance(built, Fitted):
        raise MissingDataError(
            f"{name} is fitted on a benchmark's own prompts, so it cannot embed a new one alone; "
            "fit the router with another encoder, or give --embeddings"
        )
    require(spec.name, built)
    return embed(built, name, texts).vectors
