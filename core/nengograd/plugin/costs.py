"""The costs that a backend declares, from which it follows which one runs a model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

__all__ = ["Costs", "Work"]


class Work(NamedTuple):
    """The work of one step of a program, as it is counted without running it.

    Attributes
    ----------
    blocks : int
        Blocks on the device.
    functions : int
        Array functions that they call.
    operations : float
        Numbers that they compute one by one, minibatch included.
    products : float
        Operations of matrix products, two for each pair of numbers.
    bytes : float
        Bytes that they read and write.
    host : int
        Blocks that run as Python on the host.
    """

    blocks: int = 0
    functions: int = 0
    operations: float = 0.0
    products: float = 0.0
    bytes: float = 0.0
    host: int = 0


@dataclass(frozen=True)
class Costs:
    """The time in seconds that a backend takes to start, to compile and to run.

    The numbers are constants, measured once and written down (`benchmarks/calibrate.py` prints
    them), so that the same script runs on the same backends wherever it runs.

    Attributes
    ----------
    start : float
        To import the backend's library and make it ready.
    compile : float
        To compile a program without blocks.
    compile_block : float
        To compile each of its blocks.
    call : float
        To run any number of steps, beyond what these take.
    step : float
        For each step.
    block, function, operation, product, byte, host : float
        For each of these in the `Work` of a step.
    """

    start: float = 0.0
    compile: float = 0.0
    compile_block: float = 0.0
    call: float = 0.0
    step: float = 0.0
    block: float = 0.0
    function: float = 0.0
    operation: float = 0.0
    product: float = 0.0
    byte: float = 0.0
    host: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"Costs.{field.name} is {value}; seconds are not negative")

    def before_running(self, work: Work) -> float:
        """Seconds until the first step can run."""
        return self.start + self.compile + self.compile_block * (work.blocks + work.host)

    def per_step(self, work: Work) -> float:
        """Seconds that a step takes in a long run."""
        return (
            self.step
            + self.block * work.blocks
            + self.function * work.functions
            + self.operation * work.operations
            + self.product * work.products
            + self.byte * work.bytes
            + self.host * work.host
        )
