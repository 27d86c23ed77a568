"""The table of arguments: for each public function a rule for each argument.

Commands of the command line are functions here, too; their rows are in `commands`. A row for
every argument of every public function is what the tests ask for; what depends on other arguments
or on the network, such as whether a node belongs to it, the function itself checks after this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nengo.exceptions import ValidationError

from . import rules
from .commands import COMMANDS
from .rules import Rule, one_of, optional, or_default

__all__ = ["TABLE", "check_argument", "check_arguments"]

_FANS = one_of("fan_in", "fan_out", "fan_avg")
_DISTRIBUTION = one_of("uniform", "normal")
_INITIAL_STATE = optional(rules.MAPPING)

_DATA = {
    "inputs": rules.BY_NODE,
    "targets": rules.BY_PROBE,
    "objective": rules.OBJECTIVE,
}
_RUN = {
    "progress_bar": rules.BAR,
    "input_feeds": optional(rules.BY_NODE),
    "profile": optional(rules.FLAG_OR_PATH),
}
_ITEMS = {
    "x": rules.ARRAYS,
    "batch_size": optional(rules.COUNT),
    "n_steps": optional(rules.COUNT),
}
_STATES = {"stateful": rules.FLAG, "begin_at": optional(rules.STATE)}
_CONFORMANCE = {"backends": optional(rules.NAMES), "plugins": rules.PLUGINS}

TABLE: dict[str, dict[str, Rule]] = {
    "Simulator": {
        "network": optional(rules.NETWORK),
        "dt": rules.PERIOD,
        "seed": optional(rules.SEED),
        "model": optional(rules.MODEL),
        "dtype": optional(rules.DTYPE),
        "device": optional(rules.DEVICES),
        "unroll_simulation": rules.COUNT,
        "minibatch_size": optional(rules.COUNT),
        "tensorboard": rules.FLAG_OR_PATH,
        "step_blocks": rules.ANYTHING,
        "progress_bar": rules.BAR,
        "optimize": rules.FLAG,
        "backend": optional(rules.TEXT),
        "plugins": rules.PLUGINS,
        "jit": optional(rules.FLAG),
    },
    "Simulator.step": {
        "input_feeds": optional(rules.BY_NODE),
        "profile": optional(rules.FLAG_OR_PATH),
    },
    "Simulator.run": {"time_in_seconds": rules.DURATION, **_RUN, "stateful": rules.FLAG},
    "Simulator.run_steps": {"steps": rules.STEPS, **_RUN, "stateful": rules.FLAG},
    "Simulator.train": {
        **_DATA,
        "optimizer": rules.OPTIMIZER,
        "n_epochs": rules.COUNT,
        "shuffle": rules.FLAG,
        "validation_data": optional(rules.PAIR),
        "callbacks": rules.CALLBACKS,
        "summary_folder": optional(rules.FOLDER),
        "progress_bar": rules.BAR,
        "profile": optional(rules.FLAG_OR_PATH),
    },
    "Simulator.loss": dict(_DATA),
    "Simulator.compile": {
        "optimizer": rules.OPTIMIZER,
        "loss": optional(rules.LOSSES),
        "metrics": optional(rules.LIST_OR_DICT),
        "loss_weights": optional(rules.WEIGHTS),
        "weighted_metrics": optional(rules.LIST_OR_DICT),
        "output_names": optional(rules.NAMES),
    },
    "Simulator.fit": {
        **_ITEMS,
        "y": rules.ARRAYS,
        "epochs": rules.COUNT,
        "verbose": rules.VERBOSE,
        "callbacks": rules.CALLBACKS,
        "validation_split": rules.SHARE,
        "validation_data": rules.ARRAYS,
        "shuffle": rules.FLAG,
        "class_weight": optional(rules.BY_CLASS),
        "sample_weight": optional(rules.SAMPLE_WEIGHTS),
        "initial_epoch": rules.WHOLE,
        "steps_per_epoch": optional(rules.COUNT),
        "validation_steps": optional(rules.COUNT),
        "validation_batch_size": optional(rules.COUNT),
        "validation_freq": rules.COUNT,
        "stateful": rules.STATEFUL,
        "begin_at": optional(rules.STATE),
        "profile": optional(rules.FLAG_OR_PATH),
    },
    "Simulator.evaluate": {
        **_ITEMS,
        "y": rules.ARRAYS,
        "verbose": rules.VERBOSE,
        "sample_weight": optional(rules.SAMPLE_WEIGHTS),
        "steps": optional(rules.COUNT),
        "return_dict": rules.FLAG,
        **_STATES,
    },
    "Simulator.predict": {
        **_ITEMS,
        "verbose": rules.VERBOSE,
        "steps": optional(rules.COUNT),
        **_STATES,
    },
    "Simulator.predict_on_batch": {
        "x": rules.ARRAYS,
        "n_steps": optional(rules.COUNT),
        **_STATES,
    },
    "Simulator.check_gradients": {
        "outputs": optional(rules.PROBE_OR_PROBES),
        "atol": rules.NOT_NEGATIVE,
        "rtol": rules.NOT_NEGATIVE,
        "n_steps": rules.COUNT,
    },
    "Simulator.save_params": {
        "path": rules.PATH,
        "state": rules.FLAG,
        "include_optimizer": rules.FLAG,
        "allow_nonfinite": rules.FLAG,
    },
    "Simulator.load_params": {
        "path": rules.PATH,
        "state": rules.FLAG,
        "include_optimizer": rules.FLAG,
        "include_neurons": rules.FLAG,
        "partial": rules.FLAG,
        "allow_nonfinite": rules.FLAG,
    },
    "Simulator.freeze_params": {
        "objects": optional(rules.PARTS),
        "learned": optional(rules.FLAG),
        "item": optional(rules.INTEGER),
    },
    "Simulator.get_weights": {},
    "Simulator.count_params": {},
    "Simulator.summary": {"print_fn": optional(rules.FUNCTION)},
    "Simulator.print_params": {"msg": optional(rules.TEXT)},
    "Simulator.reset": {
        "seed": optional(rules.SEED),
        "include_trainable": rules.FLAG,
        "include_probes": rules.FLAG,
    },
    "Simulator.soft_reset": {"include_trainable": rules.FLAG, "include_probes": rules.FLAG},
    "Simulator.set_state": {"state": rules.ANYTHING, "include_probes": rules.FLAG},
    "Simulator.clear_probes": {},
    "Simulator.trange": {
        "dt": optional(rules.PERIOD),
        "sample_every": optional(rules.PERIOD),
    },
    "Simulator.close": {},
    "SimulationState": {
        "arrays": rules.MAPPING,
        "n_steps": rules.WHOLE,
        "seed": rules.SEED,
        "dtype": rules.DTYPE,
        "minibatch_size": optional(rules.COUNT),
        "dt": rules.PERIOD,
        "apart": rules.NAMES,
    },
    "SimulationState.copy": {},
    "SimulationState.save": {"path": rules.PATH},
    "configure_settings": {
        "trainable": rules.SETTING,
        "keep_history": rules.SETTING,
        "dtype": optional(rules.DTYPE),
        "spike_gradient": rules.SPIKE_GRADIENT,
        "surrogate": optional(rules.SURROGATE),
        "lif_smoothing": optional(rules.POSITIVE),
        "biases_follow_ensembles": optional(rules.FLAG),
        "layers_follow_networks": optional(rules.FLAG),
        "gains_follow_encoders": optional(rules.FLAG),
        "keep_learned_weights": optional(rules.FLAG),
        "train_learned_weights": optional(rules.FLAG),
        "data_follows_history": optional(rules.FLAG),
        "stop_at_nan": optional(rules.FLAG),
        "stateful": optional(rules.FLAG),
        "share_process_seeds": optional(rules.FLAG),
        "detach_learning_rules": optional(rules.FLAG),
    },
    "arguments_of": {
        "sim": rules.SIMULATOR,
        "objects": rules.PARTS,
        "by_label": rules.FLAG,
        "learned": optional(rules.FLAG),
        "item": optional(rules.INTEGER),
    },
    "renamed": {
        "data": rules.ANYTHING,
        "inputs": rules.MAPPING,
        "targets": optional(rules.MAPPING),
    },
    "freeze": {
        "sim": rules.SIMULATOR,
        "objects": optional(rules.PARTS),
        "learned": optional(rules.FLAG),
        "item": optional(rules.INTEGER),
    },
    "convert": {
        "model": rules.ANYTHING,
        "swap_activations": optional(rules.MAPPING),
        "scale_firing_rates": optional(rules.RATES),
        "synapse": optional(rules.SYNAPSES),
        "max_to_avg_pool": rules.FLAG,
        "inference_only": rules.FLAG,
        "split_shared_weights": rules.FLAG,
        "temporal": rules.FLAG,
        "allow_fallback": rules.FLAG,
        "plugins": rules.PLUGINS,
    },
    "Converted": dict.fromkeys(
        ("model", "graph", "reader", "converters", "options", "network"), rules.ANYTHING
    ),
    "Converted.feeds": {"inputs": rules.ANYTHING, "n_steps": rules.COUNT},
    "Converted.verify": {
        "training": rules.FLAG,
        "inputs": rules.ANYTHING,
        "atol": rules.NOT_NEGATIVE,
        "rtol": rules.NOT_NEGATIVE,
        "backend": optional(rules.TEXT),
    },
    "Converted.random_inputs": {
        "items": rules.COUNT,
        "steps": rules.COUNT,
        "seed": rules.SEED,
    },
    "Converted.report": {
        "inputs": rules.ANYTHING,
        "n_steps": rules.COUNT,
        "labels": rules.ANYTHING,
        "dt": rules.PERIOD,
        "minibatch_size": optional(rules.COUNT),
        "backend": optional(rules.TEXT),
    },
    "RateTarget": {
        "rate": rules.POSITIVE,
        "data": rules.ANYTHING,
        "percentile": rules.PERCENTILE,
    },
    "to_network": {
        "sim": rules.SIMULATOR,
        "learned": optional(rules.FLAG),
        "item": optional(rules.INTEGER),
    },
    "TensorNode": {
        "tensor_func": rules.FUNCTION,
        "shape_in": optional(rules.SHAPE),
        "shape_out": optional(rules.SHAPE),
        "pass_time": rules.FLAG,
        "label": or_default(optional(rules.TEXT)),
        "seed": or_default(optional(rules.SEED)),
        "backend": optional(rules.TEXT),
    },
    "Layer": {"layer_func": rules.LAYER},
    "Layer.__call__": {
        "input": rules.SOURCE,
        "transform": optional(rules.TRANSFORM),
        "shape_in": optional(rules.SHAPE),
        "synapse": optional(rules.SYNAPSE),
        "return_conn": rules.FLAG,
    },
    "TruncatedNormal": {
        "mean": rules.NUMBER,
        "stddev": rules.NOT_NEGATIVE,
        "limit": optional(rules.POSITIVE),
    },
    "VarianceScaling": {
        "scale": rules.NOT_NEGATIVE,
        "mode": _FANS,
        "distribution": _DISTRIBUTION,
    },
    "Glorot": {"scale": rules.NOT_NEGATIVE, "distribution": _DISTRIBUTION},
    "He": {"scale": rules.NOT_NEGATIVE, "distribution": _DISTRIBUTION},
    "SoftLIFRate": {
        "sigma": rules.POSITIVE,
        "tau_rc": rules.POSITIVE,
        "tau_ref": rules.NOT_NEGATIVE,
        "amplitude": rules.POSITIVE,
        "initial_state": _INITIAL_STATE,
    },
    "LeakyReLU": {
        "negative_slope": rules.NUMBER,
        "amplitude": rules.POSITIVE,
        "initial_state": _INITIAL_STATE,
    },
    "SpikingLeakyReLU": {
        "negative_slope": rules.NUMBER,
        "amplitude": rules.POSITIVE,
        "initial_state": _INITIAL_STATE,
    },
    "callbacks.tensorboard": {"log_dir": rules.FOLDER},
    "callbacks.histograms": {
        "log_dir": rules.FOLDER,
        "sim": rules.SIMULATOR,
        "objects": rules.ANYTHING,
    },
    "losses.nan_mse": {"y_true": rules.ANYTHING, "y_pred": rules.ANYTHING},
    "losses.Regularize": {
        "order": rules.ORDER,
        "axis": optional(rules.INTEGER),
        "weight": optional(rules.NUMBER),
    },
    "losses.Regularize.__call__": {"y_true": rules.ANYTHING, "y_pred": rules.ANYTHING},
    "plot.traces": {
        "sim": rules.SIMULATOR,
        "probe": rules.PROBE,
        "item": optional(rules.INTEGER),
        "ax": optional(rules.AXES),
    },
    "plot.raster": {
        "sim": rules.SIMULATOR,
        "probe": rules.PROBE,
        "item": optional(rules.INTEGER),
        "ax": optional(rules.AXES),
    },
    "plot.overview": {
        "sim": rules.SIMULATOR,
        "probes": optional(rules.PROBES),
        "item": optional(rules.INTEGER),
    },
    "plot.loss": {"history": rules.MAPPING, "ax": optional(rules.AXES)},
    "plot.tuning_curves": {
        "sim": rules.SIMULATOR,
        "ensemble": rules.ENSEMBLE,
        "direction": rules.DIRECTION,
        "points": rules.COUNT,
        "ax": optional(rules.AXES),
    },
    "plot.benchmark_bars": {
        "ratios": rules.MAPPING,
        "label": rules.TEXT,
        "ax": optional(rules.AXES),
    },
    "plot.check_file": {"path": rules.PATH},
    "diagram.draw": {
        "program": rules.PROGRAM,
        "model": optional(rules.MODEL),
        "profile": optional(rules.PROFILED),
        "title": rules.TEXT,
        "most": rules.COUNT,
    },
    "diagram.check_installed": {},
    "profile.load_profile": {"path": rules.PATH},
    "profile.save_profile": {"profile": rules.PROFILED, "path": rules.PATH},
    "profile.table": {"profile": rules.PROFILED, "width": rules.COUNT},
    "profile.median_profile": {"profiles": rules.PROFILES},
    "profile.comparison": {"old": rules.PROFILED, "new": rules.PROFILED},
    "testing.usable_backends": {"plugins": rules.PLUGINS, "dtype": optional(rules.DTYPE)},
    "testing.check_neuron": {"neuron": rules.NEURONS_OR_FACTORY, **_CONFORMANCE},
    "testing.check_process": {"process": rules.PROCESS, **_CONFORMANCE},
    "testing.check_source": {"process": rules.PROCESS, **_CONFORMANCE},
    "testing.check_operator": {
        "operator": rules.OPERATOR,
        "make_network": rules.FUNCTION,
        **_CONFORMANCE,
    },
    "testing.check_pass": {
        "rewrite": rules.FUNCTION,
        "make_network": rules.FUNCTION,
        **_CONFORMANCE,
    },
    "testing.check_backend": {"name": rules.TEXT, "plugins": rules.PLUGINS},
    **COMMANDS,
}
"""Function -> argument -> rule. Methods stand under ``Class.method``, constructors under the
class, functions of a public module under ``module.function``."""

_ROWS = {
    function: tuple((name, rule.accepts(None), rule.accepts) for name, rule in row.items())
    for function, row in TABLE.items()
}
_LONGEST = 80


def check_arguments(function: str, given: Mapping[str, Any]) -> None:
    """Check all arguments of a call, before it has changed anything.

    Parameters
    ----------
    function : str
        A key of `TABLE`.
    given : mapping
        Values by name; ``locals()`` at the top of the function.

    Raises
    ------
    nengo.exceptions.ValidationError
        For the first that is not what it has to be: one sentence with the argument, the
        function, what is right, and what was given.
    """
    for name, may_be_none, accepts in _ROWS[function]:
        value = given[name]
        if (value is not None or not may_be_none) and not accepts(value):
            raise _wrong(function, name, value)


def check_argument(function: str, name: str, value: Any) -> None:
    """Check one argument, of a function that does not get all of them at once."""
    if not TABLE[function][name].accepts(value):
        raise _wrong(function, name, value)


def _wrong(function: str, name: str, value: Any) -> ValidationError:
    return ValidationError(
        f"{function} needs {TABLE[function][name].what}, not {_shown(value)}", attr=name
    )


def _shown(value: Any) -> str:
    """A value in a few words, whatever its own ``repr`` does."""
    try:
        shown = " ".join(repr(value).split())
    except Exception:
        shown = ""
    if not shown or len(shown) > _LONGEST:
        return f"a {type(value).__name__}" if not shown else f"{shown[:_LONGEST]}..."
    return shown
