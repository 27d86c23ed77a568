"""Settings under NengoDL's names."""

from __future__ import annotations

import warnings
from typing import Any

import nengo
from nengo.exceptions import NengoWarning, NetworkContextError

from .. import config

__all__ = ["configure_settings"]

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


def configure_settings(**settings: Any) -> None:
    """Change settings of the network in whose ``with`` block this is called.

    Parameters
    ----------
    trainable, keep_history, dtype : object, optional
        See `nengograd.configure_settings`, which takes all its other settings here, too.
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
    config.configure_settings(**{k: v for k, v in settings.items() if k not in _WITHOUT_EFFECT})
    if ignored:
        warnings.warn(
            f"settings without effect: {', '.join(ignored)}. They chose how NengoDL computes; "
            "nengograd has nothing to choose there, and they can be left out",
            NengoWarning,
            stacklevel=2,
        )
