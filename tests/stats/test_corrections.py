"""p-values of many tests: a known example, and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from routereval.stats.corrections import Correction, adjusted, benjamini_hochberg, holm


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04; the last may not fall below the one before.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochbergs_own_example() -> None:
    # Benjamini and Hochberg 1995, section 3.2: at 5 % their procedure rejects the four smallest, Bonferroni's three.
    p = np.array(
        [
            0.0001,
            0.0004,
            0.0019,
            0.0095,
            0.0201,
            0.0278,
            0.0298,
            0.0344,
            0.0459,
            0.3240,
            0.4262,
            0.5719,
            0.6528,
            0.7590,
            1,
        ]
    )
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3


@pytest.mark.parametrize(("correction", "theirs"), [(Correction.holm, "holm"), (Correction.bh, "fdr_bh")])
def test_both_are_those_of_statsmodels(correction: Correction, theirs: str) -> None:
    p = np.random.default_rng(0).random(40) ** 3
    p[5:8] = p[5]
    np.testing.assert_allclose(adjusted(p, correction), multipletests(p, method=theirs)[1], rtol=1e-12)


@pytest.mark.parametrize("correction", list(Correction))
def test_one_test_is_not_corrected_and_none_is_none(correction: Correction) -> None:
    np.testing.assert_allclose(adjusted(np.array([0.03]), correction), [0.03])
    assert len(adjusted(np.zeros(0), correction)) == 0
