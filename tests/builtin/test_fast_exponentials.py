"""The short series of LIF neurons on TensorFlow are as precise as float32."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from nengograd_xla import neurons

X = np.linspace(0.0, 1.0, 201)[1:]


@given(st.floats(1e-6, 5.0))
def test_as_many_terms_are_taken_as_float32_needs(largest: float) -> None:
    for terms, exact in ((neurons._expm1_terms, np.expm1), (neurons._log1p_terms, np.log1p)):
        coefficients = terms(largest)
        if coefficients is not None:
            x = -X * largest
            found = neurons._series(x, coefficients)
            np.testing.assert_allclose(found, exact(x), rtol=2.0**-24)


def test_the_default_membrane_and_step_need_few_terms() -> None:
    assert len(neurons._expm1_terms(0.05)) == 4
    assert len(neurons._log1p_terms(-np.expm1(-0.05))) == 5


def test_a_fast_membrane_has_no_short_series() -> None:
    for x in (0.3, 1.0, 2.0, np.inf):
        assert neurons._expm1_terms(x) is None
        assert neurons._log1p_terms(-np.expm1(-x)) is None
