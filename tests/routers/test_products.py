"""Products whose columns do not depend on each other."""

from __future__ import annotations

import numpy as np
import pytest

from routereval.routers.products import columns_product, model_sums, shrunk


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 31, 32, 33, 100])
def test_a_product_is_that_of_numpy(dtype: type, m: int) -> None:
    rng = np.random.default_rng(m)
    rows, columns = rng.normal(size=(7, 50)).astype(dtype), rng.normal(size=(m, 50)).astype(dtype)
    product = columns_product(rows, columns)
    assert product.dtype == dtype
    assert product.shape == (7, m)
    np.testing.assert_allclose(product, rows @ columns.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_is_the_same_to_the_last_bit_whatever_stands_beside_it(dtype: type) -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.normal(size=(61, 384)).astype(dtype), rng.normal(size=(1000, 384)).astype(dtype)
    everything = columns_product(rows, columns)
    for size in (1, 3, 5, 10, 100):
        picked = rng.choice(1000, size, replace=False)
        assert columns_product(rows, columns[picked]).tobytes() == np.ascontiguousarray(everything[:, picked]).tobytes()


def test_shrinkage_draws_predictions_towards_the_train_means() -> None:
    predicted, means = np.array([[1.0, 0.0]]), np.array([0.5, np.nan])
    np.testing.assert_allclose(shrunk(predicted, means, 0.0), [[1.0, 0.0]])
    np.testing.assert_allclose(shrunk(predicted, means, 1.0), [[0.5, 0.0]])
    # Five observations against a mean that counts for fifteen: a quarter of the prediction.
    np.testing.assert_allclose(shrunk(predicted, means, 15.0, evidence=5.0), [[0.25 * 1.0 + 0.75 * 0.5, 0.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_models_sum_is_the_same_to_the_last_bit_whatever_stands_beside_it(dtype: type) -> None:
    rng = np.random.default_rng(1)
    weights, rows = rng.normal(size=(300, 50)).astype(dtype), rng.normal(size=(50, 65)).astype(dtype)
    everything = model_sums(weights, rows)
    np.testing.assert_allclose(everything, weights @ rows, rtol=1e-3, atol=1e-4)
    picked = rng.choice(300, 7, replace=False)
    assert model_sums(weights[picked], rows).tobytes() == everything[picked].tobytes()
