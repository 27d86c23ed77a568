"""Settings under NengoDL's names."""

from __future__ import annotations

import warnings
from typing import Any

import nengo
from nengo.exceptions import NengoWarning, NetworkContextError
from nengo.params import BoolParam

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
        "use_loop",
    }
)
"""Settings that chose how NengoDL computes the same numbers."""


_OWN = {"stateful": BoolParam}
"""Settings that this face keeps itself, with what checks them."""


def configure_settings(**settings: Any) -> None:
    """Change settings of the network in whose ``with`` block this is called.

    Parameters
    ----------
    trainable, keep_history, dtype : object, optional
        See `nengograd.configure_settings`, which takes all its other settings here, too.
    stateful : bool, optional
        False lets each run, and each call of ``predict`` and the like, begin at the first step.
    planner, sorter, simplifications, session_config, inference_only, use_loop : object
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
            if name not in _WITHOUT_EFFECT and name not in _OWN
        }
    )
    network = nengo.Network.context[-1]
    for name, param in _OWN.items():
        if name in settings:
            _set(network, name, param, settings[name])
    if ignored:
        warnings.warn(
            f"settings without effect: {', '.join(ignored)}. They chose how NengoDL computes; "
            "nengograd has nothing to choose there, and they can be left out",
            NengoWarning,
            stacklevel=2,
        )


def _set(network: Any, name: str, param: type, value: Any) -> None:
    """Keep a setting that only this face has in the network's configuration."""
    if nengo.Network not in network.config.params:
        network.config.configures(nengo.Network)
    params = network.config[nengo.Network]
    if name not in params.extra_params:
        params.set_param(name, param(name, default=None, optional=True))
    setattr(params, name, value)


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
