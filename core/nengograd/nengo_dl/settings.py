"""Settings under NengoDL's names."""

from __future__ import annotations

import warnings
from typing import Any

import nengo
from nengo.exceptions import NengoWarning, NetworkContextError, ValidationError
from nengo.params import NumberParam

from .. import config

__all__ = ["configure_settings", "setting"]

_WITHOUT_EFFECT = frozenset(
    {
        "inference_only",
        "learning_phase",
        "planner",
        "session_config",
        "simplifications",
        "sorter",
        "stateful",
        "use_loop",
    }
)
"""Settings that chose how NengoDL computes the same numbers."""


def configure_settings(**settings: Any) -> None:
    """Change settings of the network in whose ``with`` block this is called.

    Parameters
    ----------
    trainable, keep_history, dtype : object, optional
        See `nengograd.configure_settings`, which takes all its other settings here, too.
    lif_smoothing : float or None, optional
        The width of the threshold of `nengo.LIF` neurons in training: they are trained as
        `nengograd.SoftLIFRate` with this ``sigma``. It is that of the top-level network.
    planner, sorter, simplifications, session_config, inference_only, use_loop, stateful : object
        Without effect, since there is nothing to choose; a warning says so.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such setting, object or value.
    nengo.exceptions.NetworkContextError
        If it is called outside of a network.
    """
    if not nengo.Network.context:
        raise NetworkContextError("configure_settings has to be called inside 'with network:'")
    ignored = sorted(_WITHOUT_EFFECT & set(settings))
    config.configure_settings(
        **{
            name: value
            for name, value in settings.items()
            if name not in _WITHOUT_EFFECT and name != "lif_smoothing"
        }
    )
    if "lif_smoothing" in settings:
        _set_smoothing(nengo.Network.context[-1], settings["lif_smoothing"])
    if ignored:
        warnings.warn(
            f"settings without effect: {', '.join(ignored)}. They chose how NengoDL computes; "
            "nengograd has nothing to choose there, and they can be left out",
            NengoWarning,
            stacklevel=2,
        )


def _set_smoothing(network: Any, sigma: Any) -> None:
    is_number = isinstance(sigma, (int, float)) and not isinstance(sigma, bool)
    if sigma is not None and not (is_number and sigma > 0):
        raise ValidationError(f"must be a positive number or None, not {sigma!r}", "lif_smoothing")
    if nengo.Network not in network.config.params:
        network.config.configures(nengo.Network)
    params = network.config[nengo.Network]
    if "lif_smoothing" not in params.extra_params:
        smoothing = NumberParam("lif_smoothing", default=None, low=0, optional=True)
        params.set_param("lif_smoothing", smoothing)
    params.lif_smoothing = sigma


def setting(network: Any, name: str) -> Any:
    """What the user has set in a network for the whole of it; None without.

    Parameters
    ----------
    network : nengo.Network
        The network.
    name : str
        Of the setting.
    """
    if nengo.Network not in network.config.params:
        return None
    return getattr(network.config[nengo.Network], name, None)
