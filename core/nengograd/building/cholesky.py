"""Symmetric systems of equations, solved by the very calls of LAPACK that SciPy makes.

Importing `scipy.linalg` takes longer than building and running a small model. Of all of it two
functions of one compiled module are needed, which can be had without the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

import numpy as np

__all__ = ["Factor", "factorize", "solve"]

_MODULE = "scipy.linalg._flapack"

Factor = tuple[np.ndarray, bool]
"""A triangular matrix, and whether it is the lower one."""


def factorize(matrix: np.ndarray) -> Factor:
    """The Cholesky factor of a matrix, as of ``scipy.linalg.cho_factor``.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        A symmetric, positive definite matrix. It may be overwritten.

    Raises
    ------
    ValueError
        If an element is not finite.
    numpy.linalg.LinAlgError
        If it is not positive definite.
    """
    found = _lapack() if _is_plain(matrix) else None
    if found is None:
        import scipy.linalg

        factor: Factor = scipy.linalg.cho_factor(matrix, overwrite_a=True)
        return factor
    np.asarray_chkfinite(matrix)
    triangle, info = found[0](matrix, lower=False, overwrite_a=True, clean=False)
    if info:
        raise np.linalg.LinAlgError(f"potrf has returned {info}: not positive definite")
    return triangle, False


def solve(factor: Factor, right: np.ndarray) -> np.ndarray:
    """The solution of a system of equations, as of ``scipy.linalg.cho_solve``.

    Parameters
    ----------
    factor : Factor
        What `factorize` has returned.
    right : ndarray of shape (n, size)
        The right-hand sides.

    Returns
    -------
    solution : ndarray of shape (n, size)
        An array of the caller's own.

    Raises
    ------
    ValueError
        If an element is not finite.
    """
    found = _lapack() if _is_plain(factor[0]) and _is_plain(right) else None
    if found is None:
        import scipy.linalg

        solution: np.ndarray = scipy.linalg.cho_solve(factor, right)
        return solution
    triangle, is_lower = factor
    np.asarray_chkfinite(triangle)
    np.asarray_chkfinite(right)
    solution, info = found[1](triangle, right, lower=is_lower, overwrite_b=False)
    if info:
        raise ValueError(f"potrs has returned {info}")
    return solution


def _is_plain(array: np.ndarray) -> bool:
    return array.dtype == np.float64 and array.ndim == 2 and array.size > 0


@cache
def _lapack() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """``dpotrf`` and ``dpotrs``, or None where this SciPy keeps them elsewhere."""
    try:
        module = sys.modules.get(_MODULE) or _load()
        return module.dpotrf, module.dpotrs
    except (ImportError, AttributeError):
        return None


def _load() -> Any:
    """The compiled module, without the package that it lies in.

    It is not left among the modules, so that the package, where something else imports it, comes
    to its parts in the ordinary way.
    """
    import scipy

    folders = [os.path.join(folder, "linalg") for folder in scipy.__path__]
    spec = PathFinder.find_spec(_MODULE, folders)
    if spec is None or spec.loader is None:
        raise ImportError(_MODULE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop(_MODULE, None)
    return module
