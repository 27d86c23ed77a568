"""The profile of a model: data, and the file it is kept in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from ..files import atomic_write, os_errors
from ..plugin.measuring import Span
from .chrome import trace_events

__all__ = ["BlockCost", "BuilderCost", "Profile", "load_profile", "save_profile"]

FORMAT = "nengograd-profile"
VERSION = 3

UNATTRIBUTED = "unattributed"
"""The row of what a backend has taken without saying for what."""


@dataclass(frozen=True)
class BlockCost:
    """The cost of one block.

    Attributes
    ----------
    block : int
        Index of the block in the program.
    name : str
        Its name in texts and pictures, such as the type of the neurons or the process.
    builder : str
        The class of its builder.
    distribution : str
        The distribution that the builder comes from.
    operators : int
        Operators that run as one.
    build_seconds, compile_seconds : float
        Time to make its function, and its share of the time to compile.
    seconds_per_step : float
        Time that it takes in each step.
    bytes_read, bytes_written : int
        In each step; see `nengograd.profile.cost.bytes_moved`.
    flops : float or None
        Operations in each step; None where they are not known.
    state_bytes, value_bytes, constant_bytes : int
        Memory of the states that it reads, of the values that it makes, and of the constants and
        parameters that it reads.
    objects : str
        The objects of the network that it writes for: the first of them, and how many more.
    repeats : tuple of float
        ``seconds_per_step`` of each repetition; ``seconds_per_step`` is then their median. Empty
        for one measurement.
    """

    block: int
    name: str
    builder: str
    distribution: str
    operators: int
    build_seconds: float
    compile_seconds: float
    seconds_per_step: float
    bytes_read: int
    bytes_written: int
    flops: float | None
    state_bytes: int = 0
    value_bytes: int = 0
    constant_bytes: int = 0
    objects: str = ""
    repeats: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        """Name and number of operators."""
        return f"{self.name} x{self.operators}"

    @property
    def names(self) -> list[str]:
        """The names of its operators, of which there may be several on the host."""
        return self.name.split(" + ")


@dataclass(frozen=True)
class BuilderCost:
    """The cost of all blocks of one builder together; see `BlockCost`."""

    builder: str
    distribution: str
    blocks: int
    operators: int
    build_seconds: float
    compile_seconds: float
    seconds_per_step: float


@dataclass
class Profile:
    """The profile of a run or of a training: where its time goes.

    Attributes
    ----------
    model, backend, dtype, device : str
        The model, and the options that it was run with.
    minibatch_size : int or None
        Number of items that run side by side.
    unit : str
        The unit of the figures: a ``"step"`` of a run, or a ``"minibatch"`` of a training.
    steps : int
        Number of units that were measured.
    seconds_per_step : float or None
        Time per unit without measuring; None where too few were run to tell.
    profiled_seconds_per_step : float
        Time per unit while measuring.
    assemble_seconds, compile_seconds : float
        Time to turn the built model into a program, and to compile it.
    blocks : list of BlockCost
        The cost of each block, in the order in which they run.
    rest : dict of str to float
        Seconds per unit that belong to no block, by cause.
    method : str
        A description of how the backend measures.
    machine : dict
        See `nengograd.profile.machine.Machine`.
    repeats : list of float
        ``profiled_seconds_per_step`` of each repetition; all times are then medians. Empty for one
        measurement.
    rest_repeats : dict of str to list of float
        The same of each cause in ``rest``.
    """

    model: str
    backend: str
    dtype: str
    device: str | None
    minibatch_size: int | None
    unit: str
    steps: int
    seconds_per_step: float | None
    profiled_seconds_per_step: float
    assemble_seconds: float
    compile_seconds: float
    blocks: list[BlockCost]
    rest: dict[str, float]
    method: str
    machine: dict[str, Any]
    repeats: list[float] = field(default_factory=list)
    rest_repeats: dict[str, list[float]] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list, repr=False)

    @property
    def whole(self) -> float:
        """The seconds per unit that shares refer to: blocks and rest together.

        All of them are of the measured part, never of the unprofiled one.
        """
        return sum(b.seconds_per_step for b in self.blocks) + sum(self.rest.values())

    @property
    def explained(self) -> float:
        """The share of a unit that the blocks add up to, at most 1."""
        return sum(b.seconds_per_step for b in self.blocks) / self.whole if self.whole else 0.0

    @property
    def builders(self) -> list[BuilderCost]:
        """Blocks added up by builder, the most expensive first."""
        groups: dict[tuple[str, str], list[BlockCost]] = {}
        for block in self.blocks:
            groups.setdefault((block.builder, block.distribution), []).append(block)
        costs = [_together(*key, group) for key, group in groups.items()]
        return sorted(costs, key=lambda cost: -cost.seconds_per_step)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the trace."""
        own = [f.name for f in fields(self) if f.name not in ("blocks", "spans")]
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: getattr(self, name) for name in own},
            "explained": self.explained,
            "blocks": [
                {**asdict(b), "share": b.seconds_per_step / (self.whole or 1.0)}
                for b in self.blocks
            ],
            "builders": [asdict(builder) for builder in self.builders],
        }


def _together(builder: str, distribution: str, group: Sequence[BlockCost]) -> BuilderCost:
    def total(name: str) -> Any:
        return sum(getattr(block, name) for block in group)

    return BuilderCost(
        builder,
        distribution,
        len(group),
        total("operators"),
        total("build_seconds"),
        total("compile_seconds"),
        total("seconds_per_step"),
    )


def save_profile(profile: Profile, path: str | Path) -> None:
    """Write a profile into a file that is a Chrome trace as well.

    The file can be opened in chrome://tracing and https://ui.perfetto.dev. The report is beside
    the trace's events, where the format allows further keys.

    Parameters
    ----------
    profile : Profile
        The profile.
    path : str or Path
        A ``.json`` file; an existing one is replaced.
    """
    check_arguments("profile.save_profile", locals())
    trace = {"displayTimeUnit": "ns", "traceEvents": trace_events(profile.spans, profile.blocks)}
    text = json.dumps({**profile.to_dict(), **trace})
    with atomic_write(path, "profile") as file:
        file.write(text.encode())


def load_profile(path: str | Path) -> Profile:
    """Read a profile from a file of `save_profile`, without the trace.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the file is no profile, or of another version.
    """
    check_arguments("profile.load_profile", locals())
    with os_errors(Path(path), "profile", "read"):
        text = Path(path).read_bytes()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{path} cannot be read: {error}", attr="profile") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValidationError(
            f"{path} is no profile; `nengograd profile MODEL -o {path}` writes one",
            attr="profile",
        )
    if data.get("version") != VERSION:
        raise ValidationError(
            f"{path} is a profile of version {data.get('version')}; this nengograd reads "
            f"version {VERSION}. Measure it anew.",
            attr="profile",
        )
    names = {f.name for f in fields(BlockCost)}
    try:
        blocks = [
            BlockCost(**{k: b[k] for k in names} | {"repeats": tuple(b["repeats"])})
            for b in data["blocks"]
        ]
        own = {f.name: data[f.name] for f in fields(Profile) if f.name not in ("blocks", "spans")}
    except (KeyError, TypeError) as error:
        raise ValidationError(f"{path} is damaged: it lacks {error}", attr="profile") from error
    return Profile(**own, blocks=blocks)
