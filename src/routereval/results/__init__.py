"""Runs (``run``) and the file they are kept in (``database``)."""

from routereval.results.database import ResultStore, StoredRun
from routereval.results.run import RunResult, RunSpec

__all__ = ["ResultStore", "RunResult", "RunSpec", "StoredRun"]
