"""Readers of what is published: pickles of router datasets, leaderboards and raw answers, loose and in zips."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.files import Files
from fuzzing.reader import Reader, own_home, pickled, used
from routereval.sources import full_data, leaderboards, official
from routereval.sources.unpickling import unpickle

_PARTS = {"train": 6, "val": 2, "test": 3}


def _zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _read_pickle(place: Path) -> None:
    for path in [path for path in sorted(place.glob("*.pkl")) if path.is_file()][:3]:
        with path.open("rb") as file:
            unpickle(file, path.name, path.stat().st_size, nested="nested" in path.name)


def _pickle_seeds(_: Path) -> list[Files]:
    value = {
        "floats": np.arange(6.0).reshape(2, 3),
        "names": np.array(["ab", "é\U0001f600"]),
        "objects": np.array([["ab", "c"], ["", "ü"]], dtype=object),
        "flags": np.array([True, False]),
        "swapped": np.asfortranarray(np.arange(4, dtype=">i2").reshape(2, 2)),
        "scalar": np.float64(0.5),
        "plain": [1, -1, 2**70, 0.5, True, None, "é\n", b"\x00\xff", bytearray(b"q"), (), (1, "a", (2.0,))],
        "sets": {"a": {3: [1], None: {}}, True: {1, 2}, "f": frozenset(["x"])},
    }
    nested = np.empty(2, dtype=object)
    nested[0], nested[1] = [1, {"a": np.ones(2)}], "x"
    plain = [{"a.pkl": pickled(value, protocol)} for protocol in range(6)]
    return [*plain, *({"nested.pkl": pickled({"a": nested}, protocol)} for protocol in (2, 5))]


def _pool(models: tuple[str, ...], rng: np.random.Generator, graded: bool) -> dict[str, Any]:
    draw = {part: rng.random((n, len(models))) for part, n in _PARTS.items()}
    data: dict[str, Any] = {f"{part}_score": v if graded else (v < 0.5).astype(float) for part, v in draw.items()}
    if graded:
        data["train_label"] = (draw["train"] < 0.5).astype(float)
    return {"data": data, "model": np.array(models)}


def _router_dataset(graded: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "easy": {
            3: {"all_strong": _pool(("c", "a", "b"), rng, graded), "all_weak": _pool(("d", "e", "f"), rng, graded)}
        },
        "hard": {},
        "split_index": {
            "train_indices": np.array([7, 3, 0, 5, 9, 10]),
            "val_indices": np.array([8, 1]),
            "test_indices": np.array([2, 6, 4]),
        },
        "embedding": {f"{part}_embed": rng.normal(size=(n, 3)) for part, n in _PARTS.items()},
        "prompt": {
            f"{part}_prompt": np.array([f"{part} question {i}" for i in range(n)]) for part, n in _PARTS.items()
        },
    }


def _read_official(place: Path) -> None:
    own_home(place)
    for key in list(official.benchmarks(place))[:3]:
        used(official.load(key, place))


def _official_seeds(_: Path) -> list[Files]:
    binary, graded = pickled(_router_dataset()), pickled(_router_dataset(graded=True), 2)
    packed = _zipped({"router_dataset/arc_router_dataset.pkl": binary, "__MACOSX/._arc_router_dataset.pkl": b"x"})
    return [
        {"arc_router_dataset.pkl": binary},
        {"arc_router_dataset.pkl": graded},
        {"router_dataset.zip": packed},
        {"router_dataset/gsm8k_router_dataset.pkl": pickled(_router_dataset(), 5)},
    ]


_SUBSETS = {"harness_arc_challenge_25": 12, "harness_hendrycksTest_anatomy_5": 5, "harness_hendrycksTest_virology_5": 6}


def _read_leaderboards(place: Path) -> None:
    own_home(place)
    for key, leaderboard in list(leaderboards.benchmarks(place).items())[:3]:
        for encoder in (None, *list(leaderboards.embeddings_of(leaderboard, place))[:2]):
            used(leaderboards.load(key, place, encoder))


def _leaderboard_seeds(_: Path) -> list[Files]:
    rng = np.random.default_rng(0)
    scores = {
        "model": [f"m{i}" for i in range(4)],
        "data": {name: {"correctness": (rng.random((n, 4)) < 0.5).astype(float)} for name, n in _SUBSETS.items()},
    }
    prompts = {name: np.array([f"{name} {i}?" for i in range(n)], dtype=object) for name, n in _SUBSETS.items()}
    embeddings = {name: rng.normal(size=(n, 2)).astype(np.float32) for name, n in _SUBSETS.items()}
    loose = {
        "leaderboard_score/leaderboard_old.pkl": pickled(scores),
        "leaderboard_prompt/leaderboard_old_prompt.pkl": pickled(prompts),
        "leaderboard_embed/leaderboard_old_embed/RoBERTa_result.pkl": pickled(embeddings),
        "leaderboard_embed/leaderboard_old_embed/sentence_bert_result.pkl": pickled(embeddings),
    }
    graded = {"model": ["a", "b"], "data": {"harness_truthfulqa_mc_0": {"correctness": rng.random((5, 2))}}}
    return [
        loose,
        {"leaderboard_old.pkl": pickled(scores, 2)},
        {"leaderboard_old.pkl": pickled(graded)},
        {"leaderboard_score.zip": _zipped({"leaderboard_score/leaderboard_old.pkl": pickled(scores)})},
    ]


def _read_full_data(place: Path) -> None:
    own_home(place)
    for key in list(full_data.benchmarks(place))[:2]:
        used(full_data.load(key, place))


def _old_answers(n: int = 8, **changes: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "full_prompt": [f"Q: {i}?" for i in range(n)],
        "gold": [str(i) for i in range(n)],
        "metrics": [{"acc": np.float64(i % 2), "acc_stderr": 0.5} for i in range(n)],
        "predictions": [["a", "b"]] * n,
        "input_tokens": [[[1] * (i + 1)] for i in range(n)],
        "cont_tokens": [np.array([[1, 2, 3]])] * n,
        "truncated": np.zeros(n, dtype=np.int64),
    }
    return {"harness|gsm8k|5": columns | changes}


def _new_answers(n: int = 5, **changes: Any) -> dict[str, Any]:
    return {
        f"leaderboard_{name}": [
            {
                "doc_id": i,
                "doc": {"question": f"{name} {i}?"},
                "arguments": [[f"few shots, {name} {i}?", "(A)"], [f"few shots, {name} {i}?", "(B)"]],
                "resps": [[["-1.5", "False"]]],
                "filtered_resps": [["-1.5", "False"]],
                "doc_hash": f"{name} {i}",
                "prompt_hash": "p",
                "target_hash": "t",
                "acc_norm": i / 4,
            }
            | changes
            for i in range(n)
        ]
        for name in ("bbh_navigate", "bbh_boolean_expressions")
    }


def _full_data_seeds(_: Path) -> list[Files]:
    old = {"full_data/gsm8k/a.pkl": pickled(_old_answers()), "full_data/gsm8k/b.pkl": pickled(_old_answers(5), 2)}
    new = {"full_data/bbh/a.pkl": pickled(_new_answers()), "full_data/bbh/b.pkl": pickled(_new_answers(4, doc_id=None))}
    archive = _zipped({f"some folder/{i}.pkl": content for i, content in enumerate(old.values())})
    return [old, new, {"full_data/gsm8k/all.zip": archive}]


READERS = (
    Reader("pickles", _read_pickle, _pickle_seeds),
    Reader("router-datasets", _read_official, _official_seeds),
    Reader("leaderboards", _read_leaderboards, _leaderboard_seeds),
    Reader("raw-answers", _read_full_data, _full_data_seeds),
)
