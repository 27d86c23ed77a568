"""Trained parameters as arguments of Nengo's objects."""

from __future__ import annotations

from typing import Any

import nengo
from nengo.exceptions import ValidationError

from ..export import to_network

__all__ = ["nengo_params"]


def nengo_params(sim: Any, objects: Any, as_dict: bool = False) -> Any:
    """Arguments that make objects with the current parameters of a simulator.

    Parameters
    ----------
    sim : nengograd.Simulator
        A simulator.
    objects : Ensemble, Connection or sequence of them
        What to read.
    as_dict : bool
        Whether to return a dict by label.

    Returns
    -------
    arguments : dict, list of dict, or dict of dict
        For an object, or for each: ``encoders``, ``normalize_encoders``, ``gain`` and ``bias`` of
        ensembles, ``transform``, ``function`` and ``solver`` of connections.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object has no such arguments, or labels are not different.
    """
    given = list(objects) if isinstance(objects, (list, tuple)) else [objects]
    # The copy has the same objects in the same order, with numbers for all parameters.
    network, copy = sim.model.toplevel, to_network(sim)
    copies = dict(zip(network.all_ensembles, copy.all_ensembles, strict=True))
    copies.update(zip(network.all_connections, copy.all_connections, strict=True))
    for obj in given:
        if obj not in copies:
            raise ValidationError(
                f"{obj} is no ensemble or connection of the simulator's network", attr="objects"
            )
    found = [_arguments(copies[obj]) for obj in given]
    if as_dict:
        labels = [obj.label for obj in given]
        if None in labels or len(set(labels)) < len(labels):
            raise ValidationError(
                f"each object needs a label of its own for a dict; they have {labels}",
                attr="objects",
            )
        return dict(zip(labels, found, strict=True))
    return found if isinstance(objects, (list, tuple)) else found[0]


def _arguments(obj: Any) -> dict[str, Any]:
    if isinstance(obj, nengo.Ensemble):
        names = ("encoders", "normalize_encoders", "gain", "bias")
        return {name: getattr(obj, name) for name in names}
    if isinstance(obj.pre_obj, nengo.Ensemble):
        return {
            "function": obj.function_info,
            "transform": obj.transform,
            "solver": obj.solver,
        }
    return {"transform": obj.transform}
