"""PyTorch seeded from names, and left as it was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from routereval.seeding import generator


def seed_of(*names: object) -> int:
    """A seed for PyTorch out of names: the same names give the same seed, anywhere."""
    return int(generator(*names).integers(2**63))


@contextmanager
def deterministic(*names: object) -> Iterator[None]:
    """Within, PyTorch is seeded from these names and computes the same bits each time; afterwards it is as before.

    Its random numbers, on every device, its choice of algorithms and whether gradients are computed are put back. On
    the CPU equal names give equal bits on one machine with one number of threads. On a GPU a few operations have no
    deterministic form: they stay as they are, and so may the last bits of what is learned.
    """
    import torch

    was = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    gradients = torch.is_grad_enabled()
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    gpu = torch.cuda.is_available()
    if gpu and workspace is None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS repeats itself with this alone
    with torch.random.fork_rng(enabled=True, devices=range(torch.cuda.device_count()) if gpu else []):
        torch.manual_seed(seed_of(*names))
        # On the CPU everything used here is deterministic: what is not shall fail. On a GPU it shall not.
        torch.use_deterministic_algorithms(not gpu)
        torch.set_grad_enabled(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was[0], warn_only=was[1])
            torch.set_grad_enabled(gradients)
            if gpu and workspace is None:
                os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
