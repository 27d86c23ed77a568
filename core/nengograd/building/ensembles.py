"""Ensembles: their parameters and operators, without what Nengo's build asks anew for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder import Signal
from nengo.builder.ensemble import BuiltEnsemble, gen_eval_points, get_gain_bias
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, DotInc, Reset
from nengo.dists import Distribution, get_samples
from nengo.neurons import Direct, NeuronType
from nengo.utils import numpy as npext

from .draws import Draws, is_plain

__all__ = ["build_ensemble", "build_neurons"]


def build_ensemble(model: Any, ensemble: Any, draws: Draws, dtype: Any) -> bool:
    """Build an ensemble into a model, as `nengo.builder.ensemble.build_ensemble` does.

    Parameters, signals and operators are the same, in the same order and with the same names.

    Parameters
    ----------
    model : nengo.builder.Model
        Where to build.
    ensemble : nengo.Ensemble
        What to build.
    draws : Draws
        The generator to draw with.
    dtype : dtype
        Of all signals.

    Returns
    -------
    is_built : bool
        False, with nothing changed, where Nengo has to build the ensemble: its neurons are none,
        its random numbers come from distributions of others, or it has an error for Nengo to raise.
    """
    if isinstance(ensemble.neuron_type, Direct) or not _is_drawn_plainly(ensemble):
        return False
    rng = draws.started(model.seeds[ensemble])
    points = gen_eval_points(ensemble, ensemble.eval_points, rng=rng, dtype=dtype)
    encoders = _encoders(ensemble, rng, dtype)
    if np.isnan(encoders).any():
        return False
    gain, bias, max_rates, intercepts = get_gain_bias(ensemble, rng, dtype=dtype)

    neurons, name = ensemble.neurons, str(ensemble)
    n_neurons, add = ensemble.n_neurons, model.operators.append
    value = Signal(np.zeros(ensemble.dimensions, dtype), name=f"{name}.signal")
    current = Signal(np.zeros(n_neurons, dtype), name=f"{name}.neuron_in")
    biases = Signal(bias, name=f"{name}.bias", readonly=True)
    outputs = Signal(np.zeros(n_neurons, dtype), name=f"{name}.neuron_out")
    model.sig[ensemble]["in"] = value
    model.sig[neurons].update({"in": current, "out": outputs, "bias": biases})
    add(Reset(value))
    add(Copy(biases, current))
    model.build(ensemble.neuron_type, neurons)

    scaled = encoders * (gain / ensemble.radius)[:, np.newaxis]
    weights = Signal(scaled, name=f"{name}.scaled_encoders", readonly=True)
    model.sig[ensemble]["encoders"] = weights
    if ensemble.noise is not None:
        model.build(ensemble.noise, sig_out=current, mode="inc")
    add(DotInc(weights, value, current, tag=f"{name} encoding"))
    model.sig[ensemble]["out"] = outputs
    model.params[ensemble] = BuiltEnsemble(
        eval_points=points,
        encoders=encoders,
        intercepts=intercepts,
        max_rates=max_rates,
        scaled_encoders=scaled,
        gain=gain,
        bias=bias,
    )
    return True


def build_neurons(model: Any, kind: Any, neurons: Any, draws: Draws) -> bool:
    """Build the neurons of an ensemble, as `nengo.builder.neurons.build_neurons` does.

    Parameters
    ----------
    model : nengo.builder.Model
        Where to build.
    kind : nengo.neurons.NeuronType
        Their type.
    neurons : nengo.ensemble.Neurons
        What to build.
    draws : Draws
        The generator for their first state.

    Returns
    -------
    is_built : bool
        False, with nothing changed, where Nengo has to build them: their type makes their state
        by itself, and might keep the generator.
    """
    first = kind.initial_state or {}
    if type(kind).make_state is not NeuronType.make_state:
        return False
    if not all(is_plain(value) for value in (*kind.state.values(), *first.values())):
        return False
    signals = model.sig[neurons]
    if not signals.keys().isdisjoint(kind.state):
        return False
    current, outputs = signals["in"], signals["out"]
    rng = draws.started(model.seeds[neurons.ensemble] + 1)
    made = kind.make_state(neurons.size_in, rng=rng, dtype=current.dtype)
    name = str(neurons)
    state = {key: Signal(initial, name=f"{name}.{key}") for key, initial in made.items()}
    signals.update(state)
    model.operators.append(SimNeurons(neurons=kind, J=current, output=outputs, state=state))
    return True


def _is_drawn_plainly(ensemble: Any) -> bool:
    drawn = ("eval_points", "encoders", "gain", "bias", "max_rates", "intercepts")
    return all(is_plain(getattr(ensemble, name)) for name in drawn)


def _encoders(ensemble: Any, rng: Draws, dtype: Any) -> Any:
    """Encoders of shape ``(n_neurons, dimensions)``, of length 1 where they are normalized."""
    given = ensemble.encoders
    if isinstance(given, Distribution):
        drawn = get_samples(given, ensemble.n_neurons, ensemble.dimensions, rng=rng)
        encoders = np.asarray(drawn, dtype=dtype)
    else:
        encoders = npext.array(given, min_dims=2, dtype=dtype)
    if ensemble.normalize_encoders:
        encoders /= npext.norm(encoders, axis=1, keepdims=True)
    return encoders
