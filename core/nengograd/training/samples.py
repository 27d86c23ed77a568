"""Data for a network, checked: which node gets what, and which steps of a probe are judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..assembly.build import Build
from ..config import Settings
from ..plugin.trainer import LossTerm
from ..run.inputs import numbers
from .compiled import CompiledOutput
from .data import check_fed, check_labels, sampled_steps
from .minibatches import TrainingData
from .named_data import by_object
from .weights import class_weights

__all__ = ["Samples"]


class Samples:
    """Checks data of a network, and brings them into the shapes that runs and losses want.

    Parameters
    ----------
    build : Build
        The model.
    settings : Settings
        What the user has configured in the network.
    nodes : collection of nengo.Node
        Those that may be fed.
    n_steps : int or None
        How many steps each item is shown for, where the data do not say.
    """

    def __init__(
        self, build: Build, settings: Settings, nodes: Collection[Any], n_steps: int | None
    ):
        model = build.model
        self.dtype = build.options.dtype
        self.nodes = [node for node in model.toplevel.all_nodes if node in nodes]
        self.probes = list(model.probes)
        self._sizes = {probe: model.sig[probe]["in"].size for probe in self.probes}
        self._n_steps = n_steps
        self._steps = {
            probe: _sampler(probe, model.dt, settings.keep_history(probe)) for probe in self.probes
        }

    def steps(self, probe: Any, n_steps: int) -> NDArray[np.int64]:
        """Which of the steps of a run a probe gives, counted from 0."""
        return self._steps[probe](n_steps)

    # -- inputs

    def inputs(self, x: Any) -> tuple[dict[Any, NDArray[Any]], int]:
        """What is fed to each node, and for how many steps.

        Parameters
        ----------
        x : object
            See `by_object`. An array has the shape (n_items, n_steps, size_out), or
            (n_items, size_out) for what is the same in all steps.

        Returns
        -------
        fed : dict
            Node -> array (n_items, n_steps, size_out).
        n_steps : int
            Their number of steps.
        """
        given = by_object(x, self.nodes, "x")
        arrays = {node: numbers(node, values, "x", self.dtype) for node, values in given.items()}
        n_steps = self._number_of_steps(arrays)
        fed = {}
        for node, array in arrays.items():
            if array.ndim == 2:
                array = np.broadcast_to(array[:, None], (len(array), n_steps, array.shape[1]))
            check_fed(node, array, "x")
            fed[node] = array
        return fed, n_steps

    def without_targets(self, batch: Any) -> Any:
        """The inputs of a batch that may be a list, as loaders of PyTorch yield it.

        It is ``[x, y]``, or ``[x, y, sample_weight]``.
        """
        has_more = isinstance(batch, list) and len(batch) in (2, 3) and len(self.nodes) == 1
        return batch[0] if has_more and all(hasattr(x, "shape") for x in batch) else batch

    def _number_of_steps(self, arrays: Mapping[Any, NDArray[Any]]) -> int:
        counts = {str(node): array.shape[1] for node, array in arrays.items() if array.ndim == 3}
        found = set(counts.values()) | ({self._n_steps} if self._n_steps is not None else set())
        if len(found) > 1:
            raise ValidationError(
                f"numbers of time steps differ: {counts}, n_steps={self._n_steps}", attr="x"
            )
        if 0 in found:
            raise ValidationError(f"at least one time step is needed: {counts}", attr="x")
        if not found and not arrays:
            raise ValidationError(
                "without x, the number of steps has to be given: n_steps=100", attr="n_steps"
            )
        return next(iter(found), 1)

    # -- targets

    def target(self, output: CompiledOutput, values: Any, n_steps: int) -> NDArray[Any]:
        """What the loss of a probe compares with, (n_items, n_samples, width).

        Parameters
        ----------
        output : CompiledOutput
            The probe and its loss.
        values : array
            (n_items, n_samples, width): of each step that the probe gives, or of the last
            ones alone. Two axes, (n_items, width), are for the last step, and labels
            (n_items,), too; labels (n_items, n_samples) are for that many steps.
        n_steps : int
            Of the run.
        """
        probe, loss = output.probe, output.loss
        array = numbers(probe, values, "y", self.dtype)
        if np.isinf(array).any():
            raise ValidationError(f"values for {probe} are infinite", attr="y")
        if loss.takes_labels:
            check_labels(probe, array, self._sizes[probe], "y")
        samples = len(self.steps(probe, n_steps))
        size = 1 if loss.takes_labels else self._sizes[probe]
        shape = array.shape
        if array.ndim == 1:
            array = array[:, None, None]
        elif array.ndim == 2:
            is_by_step = loss.takes_labels and shape[1] > 1
            array = array[:, :, None] if is_by_step else array[:, None]
        is_right = array.ndim == 3 and 1 <= array.shape[1] <= samples
        if is_right and (loss.takes_labels is None or array.shape[2] == size):
            return array
        wanted = f"(n_items, {samples}, {size})"
        if loss.takes_labels:
            wanted += (
                f", the number of a class for each step, or (n_items,) for the last of {n_steps}"
            )
        else:
            wanted += f", or fewer steps for the last of {n_steps} alone"
        raise ValidationError(
            f"values for {probe} have the shape {shape}; {loss.name} needs {wanted}", attr="y"
        )

    def term(self, output: CompiledOutput, n_samples: int, n_steps: int) -> LossTerm:
        """The loss of a probe, where its targets are for the last samples."""
        steps = self.steps(output.probe, n_steps)[-n_samples:]
        probe = output.probe
        return LossTerm(self.probes.index(probe), output.name, output.loss, steps, output.factor)

    # -- both

    def weights(
        self, outputs: Sequence[CompiledOutput], targets: Mapping[Any, NDArray[Any]], given: Any
    ) -> dict[Any, NDArray[Any]]:
        """What the targets of each probe weigh.

        Parameters
        ----------
        outputs : sequence of CompiledOutput
            The probes.
        targets : mapping
            Probe -> array (n_items, n_samples, width).
        given : array, list or dict
            (n_items,), or (n_items, n_samples): one array for all probes, a list in their order,
            or a dict by probe or label, in which a probe may be missing.

        Returns
        -------
        weights : dict
            Probe -> array (n_items, n_samples).
        """
        probes = [output.probe for output in outputs]
        is_one = hasattr(given, "shape") or len(probes) == 1
        if isinstance(given, Mapping) or not is_one:
            by_probe = by_object(given, probes, "sample_weight")
        else:
            by_probe = dict.fromkeys(probes, given)
        return {
            probe: self._weights(probe, by_probe.get(probe), targets[probe].shape[:2])
            for probe in probes
        }

    def _weights(self, probe: Any, given: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        if given is None:
            return np.ones(shape, self.dtype)
        array = numbers(probe, given, "sample_weight", self.dtype)
        if array.shape == shape[:1]:
            array = array[:, None]
        if array.ndim != 2 or array.shape[0] != shape[0] or array.shape[1] not in (1, shape[1]):
            raise ValidationError(
                f"weights for {probe} have the shape {np.shape(given)}; ({shape[0]},), one for "
                f"each item, or {shape}, one for each step that has a target, is needed",
                attr="sample_weight",
            )
        if not np.isfinite(array).all():
            raise ValidationError(f"weights for {probe} are not finite", attr="sample_weight")
        return np.broadcast_to(array, shape)

    def data(
        self,
        x: Any,
        y: Any,
        outputs: Sequence[CompiledOutput],
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> TrainingData:
        """Items with inputs and with targets in the order of the outputs, of any number.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            See `nengograd.Simulator.fit`.
        outputs : sequence of CompiledOutput
            What is asked of the probes.
        """
        targets = by_object(y, [output.probe for output in outputs], "y")
        missing = [str(output.probe) for output in outputs if output.probe not in targets]
        if missing:
            raise ValidationError(f"targets are missing for {', '.join(missing)}", attr="y")
        fed, n_steps = self.inputs(x)
        wanted = {
            output.probe: self.target(output, targets[output.probe], n_steps) for output in outputs
        }
        weights: dict[Any, NDArray[Any]] = {}
        if class_weight is not None:
            weights = {p: class_weights(target, class_weight) for p, target in wanted.items()}
        elif sample_weight is not None:
            weights = self.weights(outputs, wanted, sample_weight)
        return TrainingData(fed, wanted, n_steps, _number_of_items(fed, wanted), weights)

    def items(self, x: Any, n_items: int = 1) -> TrainingData:
        """Items with inputs alone; without any inputs, a number of them."""
        fed, n_steps = self.inputs(x)
        return TrainingData(fed, {}, n_steps, _number_of_items(fed, {}) if fed else n_items)


def _sampler(probe: Any, dt: float, keeps: bool) -> Callable[[int], NDArray[np.int64]]:
    return lambda n_steps: sampled_steps(probe, n_steps, dt, keeps)


def _number_of_items(fed: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> int:
    counts = {str(key): len(array) for key, array in (*fed.items(), *wanted.items())}
    if len(set(counts.values())) > 1:
        raise ValidationError(f"numbers of items differ: {counts}", attr="x")
    n_items = next(iter(counts.values()))
    if not n_items:
        raise ValidationError("there are no items", attr="x")
    return n_items
