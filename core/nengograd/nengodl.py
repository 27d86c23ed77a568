"""Names that NengoDL has and nengograd has not, with what to use instead."""

from __future__ import annotations

__all__ = ["IN_MODULE", "IN_SIMULATOR", "SETTINGS"]

IN_MODULE = {
    "Converter": "use nengograd.convert(model), with options of the same names; what it returns "
    "has net, inputs, outputs, layers and verify",
    "tensor_layer": "use nengograd.Layer",
    "benchmarks": "they are in the folder benchmarks of nengograd's repository",
    "compat": "nengograd works with the TensorFlow that is installed",
    "graph_optimizer": "there is nothing to choose; own rewrites of a program are passes, which "
    "plugins give",
}
"""By name in the module ``nengo_dl``."""
IN_MODULE["converter"] = IN_MODULE["Converter"]

IN_SIMULATOR = {
    "get_nengo_params": "use nengograd.arguments_of(sim, objects), or sim.data[obj], which has "
    "weights, encoders, bias and gain as trained",
    "keras_model": "use sim.summary(), sim.weights, sim.get_weights() and sim.count_params()",
    "tensor_graph": "sim.program is one step as data, and prints",
    "minibatch_size": "use sim.options.minibatch_size",
    "unroll": "use sim.options.unroll",
}
"""By name in ``nengo_dl.Simulator``."""

_NOTHING = "leave it out: there is nothing to choose"
SETTINGS = {
    "planner": _NOTHING,
    "sorter": _NOTHING,
    "simplifications": _NOTHING,
    "inference_only": _NOTHING,
    "use_loop": _NOTHING,
    "session_config": _NOTHING,
    "learning_phase": _NOTHING,
}
"""By name in ``nengo_dl.configure_settings``."""
