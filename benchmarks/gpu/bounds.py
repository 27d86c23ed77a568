"""What a card can do at best: its memory's bandwidth and what launching a kernel takes.

Both are measured on the card itself, through the same compiler that runs the networks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["bandwidth", "kernels_per_iteration", "launch_seconds"]

_BODY = re.compile(r"\bwhile\(.*\bbody=%?([\w.\-]+)")
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPERATION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (?:\([^=]*\)|\S+) ([\w\-]+)\(")
_NO_KERNEL = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call"),
        *("after-all", "conditional", "opt-barrier", "iota"),
    )
)
_CALLED = re.compile(
    r"\b(?:to_apply|calls|body|true_computation|branch_computations=\{)=?%?([\w.\-]+)"
)


def _best(function: Callable[..., Any], *arguments: Any, repeats: int = 5) -> float:
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begin)
    return min(times)


def bandwidth(megabytes: int = 256) -> float:
    """Bytes per second that a kernel reads and writes, both counted."""
    x = jnp.zeros(megabytes * 2**18, jnp.float32)
    scaled = jax.jit(lambda x: x * 1.5)
    return 2 * x.nbytes / _best(scaled, x)


def _sums(k: int) -> Callable[..., Any]:
    """A loop whose body has k sums, none of which can be part of another's kernel."""

    def body(_: Any, x: Any) -> Any:
        for _ in range(k):
            x = x - 1e-3 * x.sum()
        return x

    return jax.jit(lambda n, x: lax.fori_loop(0, n, body, x))


def launch_seconds(iterations: int = 2000) -> float:
    """What one more kernel in the body of a loop takes, in seconds.

    The slope of a line through loops with few and many tiny kernels.
    """
    x = jnp.ones(256, jnp.float32)
    kernels, seconds = [], []
    for k in (1, 4, 16):
        compiled = _sums(k).lower(iterations, x).compile()
        kernels.append(kernels_per_iteration(compiled.as_text()))
        seconds.append(_best(compiled, iterations, x) / iterations)
    return float(np.polyfit(kernels, seconds, 1)[0])


def kernels_per_iteration(text: str) -> int:
    """Kernels in the body of a program's longest loop.

    Parameters
    ----------
    text : str
        XLA's optimized program.
    """
    computations: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name = head[1]
            computations[name] = []
        elif name:
            computations[name].append(line)
    bodies = [match[1] for match in map(_BODY.search, text.splitlines()) if match]
    return max((_kernels(computations, body) for body in bodies), default=0)


def _kernels(computations: dict[str, list[str]], name: str) -> int:
    count = 0
    for line in computations.get(name, []):
        match = _OPERATION.match(line)
        if match is None:
            continue
        if match[1] in ("call", "conditional"):
            called = _CALLED.search(line)
            count += _kernels(computations, called[1]) if called else 0
        elif match[1] not in _NO_KERNEL:
            count += 1
    return count
