"""Settings under NengoDL's names."""

from __future__ import annotations

import warnings
from typing import Any

import nengo
from nengo.exceptions import NengoWarning

from ..config import configure_settings as configure

__all__ = ["choose_defaults", "configure_settings", "warn"]

_DEFAULTS = {
    "spike_gradient": "rate",
    "share_process_seeds": True,
    "biases_follow_ensembles": True,
    "layers_follow_networks": False,
    "gains_follow_encoders": True,
    "keep_learned_weights": True,
    "train_learned_weights": False,
    "data_follows_history": True,
}
"""Settings whose defaults are others here."""

_IGNORED = {"inference_only", "planner", "session_config", "simplifications", "sorter", "use_loop"}
"""Settings that chose how NengoDL computes the same numbers."""


def configure_settings(**settings: Any) -> None:
    """Change settings of the network in whose ``with`` block this is called.

    Parameters
    ----------
    trainable, keep_history, dtype, stateful, lif_smoothing : object, optional
        See `nengograd.configure_settings`, which takes all its other settings here, too.
    planner, sorter, simplifications, session_config, inference_only, use_loop : object
        Without effect, since there is nothing to choose; a warning says so.
    learning_phase : bool, optional
        Without effect, and a warning says so: runs spike, and trainings use rates.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such setting, object or value.
    nengo.exceptions.NetworkContextError
        If it is called outside of a network.
    """
    if settings.pop("learning_phase", None) is not None:
        text = "learning_phase has no effect: runs, predict and evaluate spike, fit trains rates. "
        warn(text + "To run rates, swap spiking neurons for a type such as nengo.LIFRate", 3)
    ignored = sorted(_IGNORED & set(settings))
    configure(**{name: value for name, value in settings.items() if name not in ignored})
    if ignored:
        warn(f"settings without effect: {', '.join(ignored)}. They can be left out", 3)


def choose_defaults(network: nengo.Network) -> None:
    """Give a network the defaults of this face for all that it has not set."""
    given = network.config.params.get(nengo.Network)
    with network:
        configure(**{k: v for k, v in _DEFAULTS.items() if getattr(given, k, None) is None})


def warn(text: str, level: int = 4) -> None:
    """Warn who calls the face, as many calls above as are given, this one included."""
    warnings.warn(text, NengoWarning, stacklevel=level)
