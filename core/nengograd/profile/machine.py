"""The speed of this machine: memory bandwidth and the rate of matrix products."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

__all__ = ["Machine", "this_machine"]

_COPY_BYTES = 2**26
_MATRIX = 1024
_PACKAGES = ("nengograd", "nengo", "numpy", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True)
class Machine:
    """The speeds of a machine, which figures of a profile are compared with.

    Attributes
    ----------
    bytes_per_second : float
        Of one thread that copies 64 MiB, read and written.
    flops_per_second : float
        Of NumPy's product of two 1024 x 1024 matrices, on all threads that it uses.
    processor, python : str
        What runs it.
    versions : dict
        Of the packages that matter.
    """

    bytes_per_second: float
    flops_per_second: float
    processor: str
    python: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@cache
def this_machine(dtype: str) -> Machine:
    """Measure this machine, once per process and dtype; takes about half a second."""
    source = np.ones(_COPY_BYTES // np.dtype(dtype).itemsize, dtype=dtype)
    target = np.empty_like(source)
    a = np.random.RandomState(0).normal(size=(_MATRIX, _MATRIX)).astype(dtype)
    out = np.empty_like(a)
    return Machine(
        2 * _COPY_BYTES / _best(lambda: np.copyto(target, source)),
        2 * _MATRIX**3 / _best(lambda: np.matmul(a, a, out=out)),
        platform.processor() or platform.machine(),
        platform.python_version(),
        _versions(),
    )


def _best(call: Callable[[], Any], repeats: int = 5) -> float:
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
