"""The functions of ``xp`` mean the same on each backend."""

import numpy as np
import pytest

from nengograd.namespace import numpy_namespace


@pytest.mark.parametrize("name", ["sum", "max", "any", "all"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_can_keep_the_axis(name: str, keepdims: bool) -> None:
    pytest.importorskip("tensorflow")
    from nengograd_tensorflow.namespace import make_namespace

    xp = make_namespace(np.dtype("float32"))
    x = np.random.RandomState(0).normal(size=(3, 4)).astype("float32")
    x = x > 0 if name in ("any", "all") else x
    expected = getattr(numpy_namespace, name)(x, axis=-1, keepdims=keepdims)
    found = np.asarray(getattr(xp, name)(xp.asarray(x), axis=-1, keepdims=keepdims))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)
