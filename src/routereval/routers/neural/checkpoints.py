"""A fit as it stands, on disk: written beside and renamed, read again after a crash, removed when the fit is done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.data.home import home
from routereval.data.scenario import Partition
from routereval.errors import DataError

if TYPE_CHECKING:
    import torch

FILE = "state.safetensors"


@dataclass
class Checkpoint:
    """Where and how often the state of one fit is kept.

    Parameters
    ----------
    folder : one for each fit; see :func:`checkpoint_for`.
    seconds : at least so long between two of them; 0: after every step.
    """

    folder: Path
    seconds: float = 60.0
    _last: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self.seconds

    def write(self, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
        """Replace what is there by this; complete, or not at all.

        Raises
        ------
        DataError : it cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        beside = self.folder / f"{FILE}.{os.getpid()}"
        # Copies: weights that are tied share their memory, which the format does not have.
        own = {name: values.detach().cpu().clone().contiguous() for name, values in tensors.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(own, beside, {"about": json.dumps(about)})
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(self.folder / FILE)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                beside.unlink()
            raise DataError(f"cannot write the checkpoint {self.folder}: {error}") from error
        self._last = time.monotonic()

    def read(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """What was written last; None where there is nothing, or nothing whole."""
        from safetensors import SafetensorError, safe_open

        path = self.folder / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads(file.metadata()["about"])
                return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return None  # of another version, or damaged: the fit begins anew

    def remove(self) -> None:
        """Forget the fit: it is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def checkpoint_for(
    router: str, parameters: Mapping[str, Any], seconds: float | None, *parts: Partition | None
) -> Checkpoint | None:
    """The checkpoint of this router with these parameters on these data; None where ``seconds`` is None.

    Its folder is named by a hash of all of them, so that nothing else carries on from it.

    Parameters
    ----------
    router, parameters : who is fitted; what it was asked (:func:`asked_of`), and what else its fit depends on.
    seconds : how often one is written.
    parts : what it is fitted on.
    """
    if seconds is None:
        return None
    digest = hashlib.sha256(json.dumps([router, dict(parameters)], sort_keys=True, default=repr).encode())
    for part in parts:
        digest.update(b"\1" if part is None else content_of(part))
    return Checkpoint(home() / "checkpoints" / f"{router}-{digest.hexdigest()[:32]}", seconds)


def asked_of(router: Any) -> dict[str, Any]:
    """A router's parameters by name, its seed too, without what cannot change the outcome (``incidental``).

    A fit carries on on another device.
    """
    return {one.name: getattr(router, one.name) for one in fields(router) if one.name not in router.incidental}


def content_of(part: Partition) -> bytes:
    """sha256 of everything a router may see of a partition."""
    queries = part.queries
    digest = hashlib.sha256(json.dumps([part.model_ids, queries.ids, queries.subsets]).encode())
    digest.update(np.ascontiguousarray(part.targets).tobytes())
    if queries.embeddings is not None:
        digest.update(np.ascontiguousarray(queries.embeddings).tobytes())
    for text in queries.texts or ():
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.digest()
