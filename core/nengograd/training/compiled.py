"""What a user of Keras' words compiles: losses, their weights and metrics by probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nengo.exceptions import ValidationError

from ..losses import nan_mse
from ..run.recording import probe_names
from .losses import Loss, find_loss
from .metrics import find_metric, metric_name
from .named_data import find_object, per_object
from .weights import WeightedMetric, weighted_loss

__all__ = ["Compiled", "CompiledOutput", "all_metrics"]


@dataclass(frozen=True)
class CompiledOutput:
    """What is asked of a probe.

    Attributes
    ----------
    probe : nengo.Probe
        The probe.
    name : str
        What histories call it.
    loss : Loss
        What is minimized.
    factor : float
        Its weight in the sum.
    metrics : sequence of (str, metric)
        What else is counted, by the name in histories.
    """

    probe: Any
    name: str
    loss: Loss
    factor: float
    metrics: Sequence[tuple[str, Any]]


class Compiled:
    """Losses, metrics and an optimizer, checked.

    Parameters
    ----------
    optimizer, loss, metrics, loss_weights
        See `nengograd.Simulator.compile`.
    probes : sequence of nengo.Probe
        In the order of the network.
    names : sequence of str, optional
        What histories call the probes, also where there is only one; by default a single one has
        no name there.
    weighted_metrics
        See `nengograd.Simulator.compile`.

    Attributes
    ----------
    names_each : bool
        Whether histories have the loss of each probe under its name, even of a single one.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one of them is not what it has to be.
    """

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        loss_weights: Any,
        probes: Sequence[Any],
        names: Sequence[str] | None = None,
        weighted_metrics: Any = None,
    ):
        if names is not None and (len(names), len(set(names))) != (len(probes), len(probes)):
            raise ValidationError(
                f"the network has {len(probes)} probes, and each needs a name of its own, not "
                f"{list(names)}",
                attr="output_names",
            )
        self.optimizer = optimizer
        self._probes = list(probes)
        self.names_each = names is not None
        self._names = dict(
            zip(self._probes, probe_names(self._probes) if names is None else names, strict=True)
        )
        if not self._probes:
            raise ValidationError("the network has no probe that could be trained", attr="loss")
        if loss is None:
            raise ValidationError(
                'a loss is needed, such as loss="mse"; see the documentation of `compile`',
                attr="loss",
            )
        given = per_object(loss, self._probes, "loss")
        # By its name, every backend computes it.
        self._given_losses = {p: "nan_mse" if x is nan_mse else x for p, x in given.items()}
        if not self._given_losses:
            raise ValidationError("a loss is needed for one probe at least", attr="loss")
        self._losses = {p: _loss(given) for p, given in self._given_losses.items()}
        self._weighted_losses = {p: weighted_loss(loss) for p, loss in self._losses.items()}
        self._metrics = _metrics_by_probe(metrics, self._probes)
        self._found = {p: [find_metric(m) for m in ms] for p, ms in self._metrics.items()}
        self._weighted = _metrics_by_probe(weighted_metrics, self._probes, "weighted_metrics")
        self._found_weighted = {
            p: [find_metric(m, "weighted_metrics") for m in ms] for p, ms in self._weighted.items()
        }
        weights = 1.0 if loss_weights is None else loss_weights
        self._weights = per_object(weights, self._probes, "loss_weights")

    @property
    def is_named(self) -> bool:
        """Whether all losses and metrics are names, which any backend can compute."""
        return all(isinstance(given, str) for given in self.objects()[1:])

    def objects(self) -> list[Any]:
        """The optimizer, losses and metrics as they were given."""
        both = (*self._metrics.values(), *self._weighted.values())
        metrics = [metric for each in both for metric in each]
        return [self.optimizer, *self._given_losses.values(), *metrics]

    def outputs(self, y: Any, has_weights: bool = False) -> list[CompiledOutput]:
        """What is asked of the probes that have targets, in the order of the network.

        Parameters
        ----------
        y : object
            Targets: a dict has those of some probes; anything else those of all with a loss.
        has_weights : bool
            Whether samples have weights, which stand behind the targets then.
        """
        if y is None or (isinstance(y, Mapping) and not y):
            raise ValidationError("targets are needed", attr="y")
        asked = set(self._losses)
        if isinstance(y, Mapping):
            asked = {find_object(key, self._probes, "y") for key in y}
        lacking = [str(probe) for probe in self._probes if probe in asked - set(self._losses)]
        if lacking:
            raise ValidationError(
                f"there are targets for {', '.join(lacking)}, and no loss was compiled for them",
                attr="y",
            )
        probes = [probe for probe in self._probes if probe in asked]
        is_named = self.names_each or len(probes) > 1
        return [
            CompiledOutput(
                probe,
                self._names[probe],
                (self._weighted_losses if has_weights else self._losses)[probe],
                float(self._weights.get(probe, 1.0)),
                self._named_metrics(
                    probe, f"{self._names[probe]}_" if is_named else "", has_weights
                ),
            )
            for probe in probes
        ]

    def _named_metrics(self, probe: Any, prefix: str, has_weights: bool) -> list[tuple[str, Any]]:
        """Metrics by the names that Keras gives them."""
        found: dict[str, Any] = {}
        for uses_weights, given, metrics in (
            (False, self._metrics, self._found),
            (True, self._weighted, self._found_weighted),
        ):
            for one, metric in zip(given.get(probe, ()), metrics.get(probe, ()), strict=True):
                name = f"{prefix}{metric_name(one)}"
                if uses_weights and name in found:
                    name = f"{prefix}weighted_{metric_name(one)}"
                number = sum(known == name or known.startswith(f"{name}_#") for known in found)
                key = f"{name}_#{number}" if number else name
                found[key] = WeightedMetric(metric, uses_weights) if has_weights else metric
        return [(key.replace("_#", "_"), metric) for key, metric in found.items()]


def _loss(given: Any) -> Loss:
    found = find_loss(given, in_keras_words=True, attr="loss")
    if not isinstance(found, Loss):
        raise ValidationError(
            f"{found.name} is a metric, which has no gradient; give it as one of metrics",
            attr="loss",
        )
    return found


def _metrics_by_probe(
    metrics: Any, probes: Sequence[Any], attr: str = "metrics"
) -> dict[Any, list[Any]]:
    if metrics is None:
        return {}
    is_by_probe = isinstance(metrics, Mapping) or any(isinstance(m, (list, tuple)) for m in metrics)
    by_probe = per_object(metrics, probes, attr) if is_by_probe else dict.fromkeys(probes, metrics)
    return {
        probe: list(each) if isinstance(each, (list, tuple)) else [each]
        for probe, each in by_probe.items()
        if each is not None
    }


def all_metrics(outputs: Sequence[CompiledOutput]) -> list[tuple[str, int, Any]]:
    """All metrics: the name in histories, the number of the output, the metric."""
    return [
        (name, index, one) for index, output in enumerate(outputs) for name, one in output.metrics
    ]
