"""Changes of a model since its build: values that were trained, loaded or written."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..assembly.lowering import feedable_signals
from ..assembly.trained import Training
from ..program.program import Program
from ..program.sources import ConstantSource
from .params_file import ArrayInfo
from .saved import CONSTANT, FIXED, GAIN, PARAMETER, START, Slot, find_slots, infos, signal_names

__all__ = ["Changes", "Recipe", "parameter_values"]

_REMEMBERED = ("values", "gains", "held", "apart")


@dataclass(frozen=True)
class Recipe:
    """The facts that a program is assembled for.

    Attributes
    ----------
    held : set of Signal
        What it has as parameters.
    apart : set of Signal
        States with an array of their own.
    fixed : mapping
        What differs from the build and is baked in. Values are compared by identity, as they
        never change.
    values, scales : mapping
        What lowering takes instead of what the model was built with; see `Training`.
    """

    held: AbstractSet[Any] = frozenset()
    apart: AbstractSet[Any] = frozenset()
    fixed: Mapping[Any, Any] = field(default_factory=dict, compare=False)
    values: Mapping[Any, Any] = field(default_factory=dict, compare=False)
    scales: Mapping[Any, Any] = field(default_factory=dict, compare=False)
    _identities: AbstractSet[tuple[Any, int]] = field(init=False)

    def __post_init__(self) -> None:
        identities = frozenset((signal, id(value)) for signal, value in self.fixed.items())
        object.__setattr__(self, "_identities", identities)

    def training(self, **options: Any) -> Training:
        """What lowering has to know; ``options`` are further attributes of `Training`."""
        return Training(
            self.held, values=self.values, scales=self.scales, apart=self.apart, **options
        )


class Changes:
    """The values of a model that differ from its build.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model.

    Attributes
    ----------
    values : dict
        Of constants, parameters, outputs of constant nodes, and states before the first step, by
        signal; of a sparse one the stored elements.
    gains : dict
        Gains of neurons, by ensemble.
    held : set of Signal
        What the program that runs has as parameters, so that it can change without compiling.
    apart : set of Signal
        States that have an array of their own, because they have been written.
    """

    def __init__(self, model: Any):
        self._model = model
        self.values: dict[Any, NDArray[Any]] = {}
        self.gains: dict[Any, NDArray[Any]] = {}
        self.held: AbstractSet[Any] = frozenset()
        self.apart: AbstractSet[Any] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.values or self.gains)

    def clear(self) -> None:
        """Make everything again as it was built."""
        self.values, self.gains = {}, {}

    def write(self, values: Mapping[Any, NDArray[Any]], apart: AbstractSet[Any]) -> None:
        """Change what constants and constant nodes hold, and set states apart.

        Parameters
        ----------
        values : mapping
            Flat arrays by signal.
        apart : set of Signal
            States that are to be written, each without others.
        """
        for signal, value in values.items():
            shape = value.shape if signal.sparse else signal.shape
            self.values[signal] = value.reshape(shape).copy()
        self.held = self.held | (set(values) - self._node_outputs)
        self.apart = self.apart | apart

    def set_parameters(self, values: Mapping[Any, NDArray[Any]], held: AbstractSet[Any]) -> None:
        """Change the values of parameters, by signal, and keep signals as parameters."""
        self.values.update(values)
        self.held = self.held | held

    def take(
        self, program: Program, arrays: Mapping[int, NDArray[Any]], held: AbstractSet[Any]
    ) -> None:
        """Take over what training has made of a program's parameters.

        Parameters
        ----------
        program : Program
            What is trained.
        arrays : mapping
            Its parameter arrays, by id.
        held : set of Signal
            What the running program has to have as parameters.
        """
        self.set_parameters(parameter_values(program, arrays), held)

    def remembered(self) -> dict[str, Any]:
        """All of it; `recall` puts it back, of a copy, too."""
        return {name: copy(getattr(self, name)) for name in _REMEMBERED}

    def recall(self, remembered: Mapping[str, Any]) -> None:
        """Put back what `remembered` has returned."""
        vars(self).update({name: copy(value) for name, value in remembered.items()})

    # -- for programs

    @cached_property
    def _node_outputs(self) -> AbstractSet[Any]:
        return frozenset(feedable_signals(self._model))

    def recipe(self, held: AbstractSet[Any], apart: AbstractSet[Any] = frozenset()) -> Recipe:
        """The facts that a program with these parameters has to be assembled for."""
        values = {s: v for s, v in self.values.items() if s not in held}
        fixed = {s: v for s, v in values.items() if s not in self._node_outputs}
        return Recipe(held, apart, {**fixed, **self.gains}, values, self._scales())

    def _scales(self) -> dict[Any, NDArray[Any]]:
        """Gains that differ over the radius, by the signal of the ensemble's encoders."""
        sig = self._model.sig
        return {sig[ens]["encoders"]: gain / ens.radius for ens, gain in self.gains.items()}

    def put_outputs(self, program: Program) -> None:
        """Let the sources of a program give what constant nodes put out now."""
        outputs = self.outputs(program)
        for source, _, _ in program.sources:
            if isinstance(source, ConstantSource) and source.operator is None:
                source.value = outputs[self._model.sig[source.node]["out"]]

    def outputs(self, program: Program) -> dict[Any, NDArray[Any]]:
        """The current outputs of a program's constant nodes, flat, by signal."""
        constant = [s for s, _, _ in program.sources if isinstance(s, ConstantSource)]
        signals = [self._model.sig[s.node]["out"] for s in constant if s.operator is None]
        return {s: np.reshape(self.values.get(s, s.initial_value), -1) for s in signals}

    # -- for files

    @cached_property
    def _slots(self) -> dict[str, Slot]:
        return find_slots(self._model)

    def wanted(self) -> dict[str, ArrayInfo]:
        """The arrays that a file has to hold, by name."""
        return infos({name: slot.built for name, slot in self._slots.items()})

    def stored(self) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """The arrays for a file and the role of each, by name."""
        arrays, roles = {}, {}
        for name, slot in self._slots.items():
            changed = self._of(slot)
            is_changed = slot.key in changed and slot.role != FIXED
            arrays[name] = np.asarray(changed[slot.key]) if is_changed else slot.built
            is_parameter = slot.key in self.held and slot.role in (CONSTANT, START)
            roles[name] = PARAMETER if is_parameter else slot.role
        return arrays, roles

    def _of(self, slot: Slot) -> dict[Any, NDArray[Any]]:
        return self.gains if slot.role == GAIN else self.values

    def restore(
        self,
        given: Mapping[str, NDArray[Any]],
        parameters: AbstractSet[str],
        apart: AbstractSet[str],
        partial: bool,
    ) -> None:
        """Take over what `stored` has given, all or a part of it.

        Parameters
        ----------
        given : mapping
            Arrays by name, of the right shapes.
        parameters : set of str
            Those that were parameters of the program that ran. The same are here, so that both
            programs are the same, and compute the same to the bit.
        apart : set of str
            Names of states that had an array of their own.
        partial : bool
            Whether what is not given stays as it is.

        Raises
        ------
        nengo.exceptions.ValidationError
            If something that has to be the same in both models is not. Nothing has changed then.
        """
        self._check_fixed(given)
        if not partial:
            self.clear()
            self.held, self.apart = frozenset(), frozenset()
        for name, value in given.items():
            slot = self._slots[name]
            if slot.role == FIXED:
                continue
            self._of(slot).pop(slot.key, None)
            if value.dtype != slot.built.dtype or value.tobytes() != slot.built.tobytes():
                self._of(slot)[slot.key] = value
        trainable = (CONSTANT, START)
        known = {n for n in parameters if n in given and self._slots[n].role in trainable}
        self.held = self.held | {self._slots[name].key for name in known}
        signals = {name: signal for signal, name in signal_names(self._model).items()}
        self.apart = self.apart | {signals[name] for name in apart if name in signals}

    def _check_fixed(self, given: Mapping[str, NDArray[Any]]) -> None:
        for name, value in given.items():
            slot = self._slots[name]
            if slot.role == FIXED and not np.array_equal(value, slot.built):
                raise ValidationError(
                    "these parameters do not fit the network:\n"
                    f"- {name} differ: sparse weights stand in other places",
                    attr="params",
                )


def parameter_values(
    program: Program, arrays: Mapping[int, NDArray[Any]]
) -> dict[Any, NDArray[Any]]:
    """The value of each parameter that a program has, by signal.

    Parameters
    ----------
    program : Program
        A program with parameters.
    arrays : mapping
        Its parameter arrays, by id.
    """
    values = {}
    for signal, view in program.parameters.items():
        flat = view.gather(arrays)
        values[signal] = flat if signal.sparse else flat.reshape(signal.shape)
    return values
