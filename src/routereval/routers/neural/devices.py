"""Where a network computes, and in which precision: found by itself, or as it is told."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from routereval.errors import ParameterError

if TYPE_CHECKING:
    import torch

Module = TypeVar("Module", bound="torch.nn.Module")


@dataclass(frozen=True)
class Device:
    """A place to compute.

    Parameters
    ----------
    name : as PyTorch has it: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    half : ``bfloat16`` or ``float16``, what products are computed in on a GPU; empty: float32 throughout.
    """

    name: str
    half: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether it is a CUDA device: mixed precision and compiled modules pay there only."""
        return self.name.startswith("cuda")

    @property
    def scales(self) -> bool:
        """Whether losses have to be scaled up so that their gradients fit: in float16 only."""
        return self.half == "float16"

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision within, on a GPU; nothing elsewhere."""
        if not self.half:
            return nullcontext()
        import torch

        mixed: AbstractContextManager[Any] = torch.autocast("cuda", dtype=getattr(torch, self.half))
        return mixed

    def compiled(self, module: Module) -> Module:
        """The module compiled for a GPU, sharing its weights with the one given; elsewhere the one given."""
        if not self.is_gpu:
            return module
        import torch

        compiled: Module = torch.compile(module, dynamic=True)
        return compiled


def find_device(wanted: str = "", *, or_another: bool = False) -> Device:
    """The device of that name; where it is empty CUDA if there is any, else MPS, else the CPU.

    Parameters
    ----------
    or_another : take another where there is none of that name: to predict with a router that was fitted elsewhere.

    Raises
    ------
    ParameterError : no device of that name is here.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *there]
    name = wanted if wanted in there or (wanted and not or_another) else there[0]
    if name not in there:
        raise ParameterError(f"device = {wanted!r} is not here; there is {', '.join(there)}, or leave it empty")
    if not name.startswith("cuda"):
        return Device(name)
    return Device(name, "bfloat16" if torch.cuda.is_bf16_supported() else "float16")
