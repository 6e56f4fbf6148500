"""Everything this package raises for a caller's mistake.

::

    RouterEvalError
    ├── DataError            scores, embeddings, splits or pools that do not make sense
    │   ├── UnsafeFileError  a file that was refused before anything in it could act
    │   └── MissingDataError a benchmark, pool, split or embedding that is not there
    ├── RouterError          a router that raised, or returned what is no prediction
    ├── UnknownNameError     a name no catalogue has, with the nearest ones
    ├── ParameterError       a parameter that does not exist, or a value it cannot take
    ├── PredictionFileError  a predictions file that does not match its scenarios
    ├── ResultsError         a results file that cannot be read or written
    └── WorkerError          a worker process that died
        ├── LimitError       a run that took longer, or more memory, than it may
        └── ClusterError     a cluster that cannot be reached, does not fit, or is gone
"""

from __future__ import annotations


class RouterEvalError(Exception):
    """The root: catching it catches every mistake this package reports."""


class DataError(RouterEvalError):
    """Scores, embeddings, splits or pools that do not make sense."""


class UnsafeFileError(DataError):
    """A file that was refused before anything in it could act."""


class MissingDataError(DataError):
    """A benchmark, pool, split or embedding that is not there."""


class RouterError(RouterEvalError):
    """A router that raised, or returned what is no prediction."""


class UnknownNameError(RouterEvalError):
    """A name no catalogue has; the message names the nearest ones."""


class ParameterError(RouterEvalError):
    """A parameter that does not exist, or a value it cannot take."""


class PredictionFileError(RouterEvalError):
    """A predictions file that does not match its scenarios; the message lists every mismatch."""


class ResultsError(RouterEvalError):
    """A results file that cannot be read or written."""


class WorkerError(RouterEvalError):
    """A worker process that died; what it did may be tried again."""


class LimitError(WorkerError):
    """A run that took longer, or more memory, than it may; another try would too."""


class ClusterError(WorkerError):
    """A cluster that cannot be reached, that has other versions than the driver, or that is gone."""
