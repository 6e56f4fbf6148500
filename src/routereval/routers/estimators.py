"""scikit-learn estimators as bytes, by skops: which names a file may have in it, and what is checked before use.

skops refuses what it does not know and otherwise believes its caller, so a whole package must not be trusted: NumPy,
SciPy and scikit-learn have functions that run text, read pickles and write files, and a file may call whatever it may
name. Only estimators (which skops knows) and the data they keep are named here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from routereval.data.packing import check_packing
from routereval.errors import DataError, RouterError, RouterEvalError, UnsafeFileError

_KERNELS = ("ConstantKernel", "WhiteKernel", "RBF", "Matern", "RationalQuadratic", "ExpSineSquared", "DotProduct")
_SUMS = ("Sum", "Product", "Exponentiation")
_LOSSES = ("HalfSquaredError", "AbsoluteError", "HalfBinomialLoss", "HalfMultinomialLoss", "HalfPoissonLoss")
_MORE_LOSSES = ("HalfGammaLoss", "HalfTweedieLoss", "HalfTweedieLossIdentity", "PinballLoss", "HuberLoss")
_DISTANCES = ("EuclideanDistance", "ManhattanDistance", "ChebyshevDistance", "MinkowskiDistance")

_TESTS = ("f_classif", "f_regression", "chi2", "r_regression")

TRUSTED = frozenset(
    (
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        *(f"sklearn.feature_selection._univariate_selection.{name}" for name in _TESTS),
        *(f"sklearn.gaussian_process.kernels.{name}" for name in (*_KERNELS, *_SUMS)),
        *(f"sklearn._loss.loss.{name}" for name in (*_LOSSES, *_MORE_LOSSES)),
        *(f"sklearn.metrics._dist_metrics.{name}{bits}" for name in _DISTANCES for bits in (64, 32)),
    )
)
"""What estimators keep and skops leaves to its caller: classes that only hold data, and functions that only compute."""


def dumped(estimator: Any, where: str) -> bytes:
    """A fitted estimator as bytes that :func:`loaded` reads.

    Raises
    ------
    RouterError : it has something in it that would be refused on reading.
    """
    import skops.io

    try:
        content: bytes = skops.io.dumps(estimator)
        strangers = _strangers(content)
    except Exception as error:  # an estimator may be anybody's
        raise RouterError(
            f"{where} is a {type(estimator).__name__}, which skops cannot save: {type(error).__name__}: {error}"
        ) from error
    if strangers:
        raise RouterError(
            f"{where} is a {type(estimator).__name__}, which cannot be saved: it has {', '.join(strangers[:5])} in it, "
            "and only scikit-learn's estimators and their data are read from a file"
        )
    return content


def loaded(content: bytes, source: str) -> Any:
    """The estimator in a file's content.

    Raises
    ------
    UnsafeFileError : it names anything else than estimators and their data; nothing in it was executed.
    DataError : it is damaged.
    """
    import skops.io

    try:
        check_packing(io.BytesIO(content), source)
        strangers = _strangers(content)
        if strangers:
            raise UnsafeFileError(
                f"{source} was refused: it asks for {', '.join(strangers[:5])}, and only scikit-learn's estimators and "
                "their data are made from a file. Nothing in it was executed"
            )
        estimator = skops.io.loads(content, trusted=sorted(TRUSTED))
        for part in _parts(estimator):
            _check(part)
    except RouterEvalError:
        raise
    except Exception as error:  # whatever a damaged file provokes is the file's fault
        raise DataError(f"{source} is damaged ({type(error).__name__}: {error}); fit the router again") from error
    return estimator


def _strangers(content: bytes) -> list[str]:
    import skops.io

    return [str(name) for name in skops.io.get_untrusted_types(data=content) if name not in TRUSTED]


def _parts(value: Any, depth: int = 0) -> Iterator[Any]:
    """A value and everything it keeps."""
    yield value
    if depth > 20:
        return
    if isinstance(value, dict):
        inside: list[Any] = list(value.values())
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        inside = list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value)
    else:
        inside = list(getattr(value, "__dict__", {}).values())
    for one in inside:
        yield from _parts(one, depth + 1)


def _check(part: Any) -> None:
    """Refuse trees that point outside of themselves: compiled code follows them wherever they lead."""
    kind = type(part).__name__
    module = type(part).__module__
    if module == "sklearn.tree._tree":
        if not 0 < part.node_count <= part.capacity:
            raise ValueError(f"a tree of {part.node_count} nodes in room for {part.capacity}")
        left, right, feature = part.children_left, part.children_right, part.feature
        _check_nodes(left, right, feature, left == -1, part.n_features)
    elif kind == "TreePredictor":
        nodes = part.nodes
        _check_nodes(nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"].astype(bool), None)
    elif kind in ("KDTree", "BallTree"):
        data, order, nodes, bounds = part.get_arrays()
        n = len(data)
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        if (
            sorted(order.tolist()) != list(range(n))
            or (nodes["idx_start"] < 0).any()
            or (nodes["idx_end"] > n).any()
            or (2 * inner + 2 >= len(nodes)).any()
            or bounds.shape[1] != len(nodes)
            or bounds.shape[2] != data.shape[1]
        ):
            raise ValueError(f"a {kind} that points outside of its {n} points")


def _check_nodes(left: Any, right: Any, feature: Any, leaf: Any, features: int | None) -> None:
    """Children come after their parent, so that no walk goes on for ever, and are there."""
    own = np.arange(len(left))
    inside = all(((child > own) & (child < len(left)))[~leaf].all() for child in (left.astype(int), right.astype(int)))
    known = (feature[~leaf].astype(int) >= 0).all() and (features is None or (feature[~leaf] < features).all())
    if not (inside and known):
        raise ValueError("a tree that points outside of itself")
