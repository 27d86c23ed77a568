"""Checks of what a builder's function returns, made at its first call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengo.exceptions import BuildError, NengoException

from ..plugin.builders import Context, NeuronBuilder, ProcessBuilder, Step
from ..plugin.signatures import why_not_callable
from ..plugin.stand_ins import replaced_builder
from ..program.program import Block

__all__ = ["CheckedStep"]


_PYTHON = (LookupError, NameError, ArithmeticError, AssertionError, ImportError)
"""Errors that say themselves what is wrong with the code, whichever arrays it is given."""


def _advice(error: Exception, builder: Any, states: Sequence[str]) -> str:
    """What would be right, for what went wrong on the arrays of some backend; "" for nothing."""
    text = str(error)
    if isinstance(error, TypeError):
        wrong = why_not_callable(builder)
        if wrong is not None:
            return wrong
        if isinstance(builder, ProcessBuilder) and "'list'" in text:
            return "state[name] is a list of arrays, one for each of its rows."
    if isinstance(error, KeyError) and states:
        return f"`state` has {' and '.join(map(repr, states))}."
    if isinstance(error, _PYTHON):
        return ""
    if isinstance(error, AttributeError):
        if error.obj is builder and builder is not None:
            where = (
                "its `key_and_params` returns in `params`"
                if isinstance(builder, ProcessBuilder)
                else "its attribute `params` names"
            )
            return f"A builder serves many instances: `params` has what {where}."
        if text.startswith("xp has no"):
            return "Write what is missing with those that there are."
        if "SimpleNamespace" in text:
            if isinstance(builder, ProcessBuilder):
                return "params has what the builder's `key_and_params` returns."
            return "params has what the builder names in its attribute `params`."
        return (
            "Arrays of every backend have operators, `shape` and `dtype`, but no methods: "
            "xp.max(J, axis=-1), not J.max()."
        )
    if "truth value" in text or "Python `bool`" in text:
        return (
            "A condition on arrays is an array, and `if`, `and`, `or` and `not` need one truth: "
            "choose by xp.where, and combine conditions by `&`, `|` and `~`."
        )
    if "item assignment" in text or "read-only" in text:
        return "Arrays are never changed in place: return new ones, such as xp.where(mask, 0.0, x)."
    return (
        "On the arrays of every backend work the functions of xp, Python's operators and Python "
        "numbers; NumPy's functions and NumPy arrays of another dtype do not."
    )


def _lost_axis(shape: tuple[int, ...], lead: tuple[int, ...], size: int) -> str:
    """Which axis an array has lost, as the end of a message; "" where it has as many as needed."""
    if len(shape) > len(lead):
        return ""
    if shape == lead and shape != (size,):
        return (
            " The axis of the elements is lost: a sum or a mean along it needs keepdims=True, and "
            "arithmetic with an array that has all elements."
        )
    return " The batch axis is lost: work along the last axis alone, with axis=-1."


class CheckedStep:
    """A block's function; errors in it name its builder.

    The number of arrays it returns, their shapes and their dtype are checked in the first
    call: a compiled backend makes but one, and the others cost nothing.

    Parameters
    ----------
    step : callable
        What `nengograd.plugin.builders.OperatorBuilder.build` returned.
    block : Block
        What it runs.
    sizes : sequence of int
        Elements of each output.
    context : Context
        What the builder was given.
    who : str
        The builder, for people.
    """

    def __init__(self, step: Step, block: Block, sizes: Sequence[int], context: Context, who: str):
        if not callable(step):
            raise BuildError(
                f"{who} has to return a function from `build`, which takes an array for each of "
                f"{len(block.operands)} operands; it returned "
                f"{'None' if step is None else 'a ' + type(step).__name__}"
            )
        self._step = step
        self._block = block
        self._sizes = sizes
        self._context = context
        self._who = who
        self._is_checked = False
        # What depends on these alone has no batch axis either.
        self._reads_constants = not all(context.batched)
        builder = context.builder
        # A builder of neurons or processes has no context.
        self._in_dtype = "so do ctx.constant and xp.astype(x, ctx.dtype)"
        if isinstance(builder, (NeuronBuilder, ProcessBuilder)):
            name = "J" if isinstance(builder, NeuronBuilder) else "u"
            self._in_dtype = f"so does xp.astype(x, {name}.dtype)"
        self._states: list[str] = []  # the keys of `state`
        if isinstance(builder, NeuronBuilder):
            self._states = list(builder.states)
        elif isinstance(builder, ProcessBuilder):
            self._states = [name for name, _ in block.ops[0].attrs["rows"]]
        numbered = enumerate(self._states, 1) if isinstance(builder, NeuronBuilder) else ()
        self._names = {number: f"the state {name!r}" for number, name in numbered}
        if isinstance(builder, NeuronBuilder) and builder.draw is not None:
            self._states.append("random")

    def __call__(self, *operands: Any) -> Sequence[Any]:
        """The outputs of the block."""
        try:
            outputs = self._step(*operands)
        except BuildError as error:
            raise self._error(f"failed: {error}") from error
        except NengoException:
            raise
        except Exception as error:
            advice = self._called_as(error, operands) or _advice(
                error, replaced_builder(self._context.builder), self._states
            )
            raise BuildError(
                f"{self._who} failed: {type(error).__name__}: {error}\n{advice}".rstrip()
            ) from error
        if not self._is_checked:
            self._check(operands, outputs)
            self._is_checked = True
        return outputs

    def _called_as(self, error: Exception, operands: Sequence[Any]) -> str:
        """How an operator's function is called, where it takes other arguments; else nothing."""
        if not isinstance(error, TypeError) or "argument" not in str(error):
            return ""
        if str(error).startswith(f"{getattr(self._step, '__qualname__', None)}()"):
            return (
                "The function that `build` returns is called with an array for each operand: "
                f"{len(operands)} here."
            )
        return ""

    def _check(self, operands: Sequence[Any], outputs: Any) -> None:
        if not isinstance(outputs, (list, tuple)):
            raise self._error(f"returned a {type(outputs).__name__}, not a sequence of arrays")
        if len(outputs) != len(self._sizes):
            raise self._error(f"returned {len(outputs)} arrays; {len(self._sizes)} are needed")
        leads = [
            tuple(operand.shape[:-1])
            for operand, is_batched in zip(operands, self._context.batched, strict=True)
            if is_batched
        ]
        lead = max(leads, key=len, default=None)
        for number, (output, size) in enumerate(zip(outputs, self._sizes, strict=True)):
            self._check_array(self._names.get(number, f"output {number}"), output, size, lead)

    def _check_array(self, what: str, output: Any, size: int, lead: Any) -> None:
        if not hasattr(output, "shape") or not hasattr(output, "dtype"):
            is_number = isinstance(output, (bool, int, float))
            cure = f"; xp.full_like(x, {output!r}) makes one like x" if is_number else ""
            raise self._error(f"returned a {type(output).__name__} as {what}, not an array{cure}")
        dtype = getattr(output.dtype, "name", str(output.dtype))
        if dtype != self._context.dtype.name:
            raise self._error(
                f"returned {what} in {dtype}; the simulation is in {self._context.dtype.name}. "
                f"Python numbers take the dtype of the simulation, and {self._in_dtype}; NumPy's "
                "numbers and arrays do not."
            )
        shape = tuple(output.shape)
        if lead is None:
            # Nothing that it reads changes from step to step.
            if shape[-1:] != (size,):
                raise self._error(f"returned {what} of shape {shape}; {(size,)} is needed")
        elif shape != (*lead, size) and not (shape == (size,) and self._reads_constants):
            raise self._error(
                f"returned {what} of shape {shape}; {(*lead, size)} is needed, the elements on "
                f"the last axis.{_lost_axis(shape, lead, size)}"
            )

    def _error(self, what: str) -> BuildError:
        return BuildError(f"{self._who} {what}")
