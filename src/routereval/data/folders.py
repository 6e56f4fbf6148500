"""One benchmark's data as a folder: ``meta.json``, arrays that are memory-mapped when opened, ``SHA256SUMS``."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data import checksums
from routereval.data.array_files import read_array
from routereval.data.benchmark import BenchmarkData
from routereval.data.home import home, writing
from routereval.data.queries import Queries
from routereval.data.scenario import CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.data.store_checks import check_meta, check_shapes
from routereval.data.texts import Texts
from routereval.errors import DataError, RouterEvalError


def write_folder(folder: Path, data: BenchmarkData) -> None:
    """The data as one folder of files that can be opened anywhere, written beside and renamed when complete.

    Raises
    ------
    DataError : there is something already, or the folder cannot be written.
    """
    if folder.exists():
        raise DataError(f"{folder} is there already; remove it, or write somewhere else")
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            write_files(temporary, data)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def open_folder(folder: Path) -> BenchmarkData:
    """The data in one folder of the store, arrays memory-mapped.

    Raises
    ------
    DataError : the folder is damaged.
    """
    try:
        return _read(folder)
    except RouterEvalError:
        raise
    except Exception as error:  # whatever a damaged folder provokes is the folder's fault
        raise DataError(
            f"{folder} is damaged ({type(error).__name__}: {error}); remove it and read the data again"
        ) from error


def _read(folder: Path) -> BenchmarkData:
    meta = json.loads((folder / "meta.json").read_text())
    check_meta(meta)
    lost = [name for name in meta["arrays"] if not (folder / f"{name}.npy").is_file()]
    if lost:
        files = ", ".join(f"{name}.npy" for name in lost)
        raise DataError(f"{folder} lacks {files}; remove the folder and read the data again")

    def array(name: str) -> NDArray[Any] | None:
        path = folder / f"{name}.npy"
        try:
            return read_array(path, mapped=True) if path.is_file() else None
        except DataError as error:
            raise ValueError(str(error)) from error

    def need(name: str) -> NDArray[Any]:
        found = array(name)
        if found is None:
            raise DataError(f"{folder} lacks {name}.npy; remove the folder and read the data again")
        return found

    scores = {name: need(name) for name in meta["scores"]}
    prompts, models = tuple(meta["prompt_ids"]), tuple(meta["model_ids"])
    blob = array("texts")
    pools = {
        (pool["strategy"], pool["m"]): CandidatePool(
            tuple(models[i] for i in pool["columns"]), pool["strategy"], pool["seed"]
        )
        for pool in meta["pools"]
    }
    data = BenchmarkData(
        benchmark=meta["benchmark"],
        scores=ScoreMatrix(prompts, models, **scores),
        queries=Queries(prompts, array("embeddings"), None if blob is None else Texts(blob, need("text_offsets"))),
        split=Split(*(np.asarray(need(f"split_{name}")) for name in ("train", "val", "test"))),
        pools=pools,
        source=meta["source"],
        data_hash=meta["data_hash"],
        train_labels={(s, m): need(f"labels_{s}_{m}") for s, m in map(tuple, meta["labels"])},
        subsets=None if meta["subsets"] is None else tuple(meta["subsets"]),
        missing=tuple(meta["missing"]),
        pools_saw_test=meta["pools_saw_test"],
        split_given=meta.get("split_given", False),
        synthetic=meta["synthetic"],
        reference_model=meta["reference_model"],
        reference_score=meta["reference_score"],
        encoder=meta.get("encoder", "shipped"),
        planes={name: need(f"plane_{i}") for i, name in enumerate(meta.get("planes", ()))},
        store_dir=folder,
    )
    check_shapes(data)
    return data


def write_files(folder: Path, data: BenchmarkData, *, link: bool = False) -> None:
    """The files of the data, into a folder that is there.

    Parameters
    ----------
    link : give the store's own files another name instead of copying them, where arrays come from there as they are.
    """
    column = {name: i for i, name in enumerate(data.scores.model_ids)}
    arrays: dict[str, NDArray[Any] | None] = {
        "bits": data.scores.bits,
        "observed": data.scores.observed,
        "values": data.scores.values,
        "embeddings": data.queries.embeddings,
        "split_train": data.split.train,
        "split_val": data.split.val,
        "split_test": data.split.test,
    }
    if data.queries.texts is not None:
        arrays["texts"], arrays["text_offsets"] = Texts.encode(data.queries.texts).arrays
    for (strategy, m), labels in data.train_labels.items():
        arrays[f"labels_{strategy}_{m}"] = labels
    # By number: a metric may have any name, a file may not.
    arrays |= {f"plane_{i}": plane for i, plane in enumerate(data.planes.values())}
    sums: dict[str, str] = {}
    for name, values in arrays.items():
        if values is not None and (known := _save_array(folder / f"{name}.npy", values, link)):
            sums[f"{name}.npy"] = known
    meta = {
        "arrays": [name for name, values in arrays.items() if values is not None],
        "scores": [name for name in ("bits", "observed", "values") if arrays[name] is not None],
        "benchmark": data.benchmark,
        "prompt_ids": data.scores.prompt_ids,
        "model_ids": data.scores.model_ids,
        "pools": [
            {"strategy": s, "m": m, "seed": pool.seed, "columns": [column[name] for name in pool.model_ids]}
            for (s, m), pool in data.pools.items()
        ],
        "labels": list(data.train_labels),
        "source": data.source,
        "data_hash": data.data_hash,
        "subsets": data.subsets,
        "missing": data.missing,
        "pools_saw_test": data.pools_saw_test,
        "split_given": data.split_given,
        "synthetic": data.synthetic,
        "reference_model": data.reference_model,
        "reference_score": data.reference_score,
        "encoder": data.encoder,
        "planes": list(data.planes),
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    checksums.write(folder, sums)


def _save_array(path: Path, values: NDArray[Any], link: bool) -> str | None:
    """An array as a .npy file; with ``link`` another name of the store's own file, where it comes from one as it is.

    Returns
    -------
    str or None : the file's sha256, where it is known already.
    """
    base: object = values.base
    # A part of a file's array has the whole array for its base.
    if link and isinstance(values, np.memmap) and isinstance(base, mmap.mmap):
        source = Path(str(values.filename))
        if home() / "store" in source.parents:
            # Nothing in the store is ever written to again. Scenarios of the same scores share them.
            with contextlib.suppress(OSError):  # a file system without links
                os.link(source, path)
                return _known_sum(source)
    np.save(path, values, allow_pickle=False)
    return None


def _known_sum(file: Path) -> str | None:
    try:
        return checksums.read(file.parent).get(file.name)
    except DataError:
        # Damaged sums are no sums. The file itself must not be written again: it is the store's own under another name.
        return None
