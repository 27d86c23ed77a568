"""Rules for arguments: each has a sentence for errors and a function for checks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.params import Default

from ..surrogates import SURROGATES

__all__ = ["Rule", "float_dtype", "instance", "one_of", "optional", "or_default"]


class Rule(NamedTuple):
    """What a value has to be.

    Attributes
    ----------
    what : str
        A noun with what limits it, such as "a whole number of at least 1".
    accepts : callable
        Whether a value is that. It never raises, and takes well below a microsecond where the
        value is what it mostly is: some are asked in each `Simulator.step`.
    """

    what: str
    accepts: Callable[[Any], bool]


@cache
def optional(rule: Rule) -> Rule:
    """The same, or None."""
    accepts = rule.accepts
    return Rule(f"{rule.what}, or None", lambda value: value is None or accepts(value))


@cache
def or_default(rule: Rule) -> Rule:
    """The same, or Nengo's sign for what the configuration of the network says."""
    accepts = rule.accepts
    return Rule(rule.what, lambda value: value is Default or accepts(value))


@cache
def one_of(*choices: Any) -> Rule:
    """One of some constants; True is not 1."""

    def accepts(value: Any) -> bool:
        return any(
            value is choice or (isinstance(choice, str) and _is_text(value) and value == choice)
            for choice in choices
        )

    return Rule(f"one of {', '.join(map(repr, choices))}", accepts)


def instance(kind: type | tuple[type, ...], what: str) -> Rule:
    """An object of a class."""
    return Rule(what, lambda value: isinstance(value, kind))


def with_attributes(names: Sequence[str], what: str) -> Rule:
    """An object of a class that stands in a higher layer, known by its attributes."""

    def accepts(value: Any) -> bool:
        return not isinstance(value, type) and all(hasattr(type(value), name) for name in names)

    return Rule(what, accepts)


# -- numbers


def _is_whole(value: Any) -> bool:
    return type(value) is int or isinstance(value, np.integer)


def _as_number(value: Any) -> float:
    """A real number as a float; NaN for all else."""
    kind = type(value)
    if kind is not float and kind is not int:
        is_array = isinstance(value, (np.generic, np.ndarray))
        if not is_array or value.ndim or value.dtype.kind not in "iuf":
            return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _is_finite(value: Any) -> bool:
    return math.isfinite(_as_number(value))


def _number(what: str, low: float, is_open: bool = False) -> Rule:
    """A finite number from a limit on, or above it."""
    if is_open:
        return Rule(what, lambda value: low < _as_number(value) < math.inf)
    return Rule(what, lambda value: low <= _as_number(value) < math.inf)


NUMBER = Rule("a finite number", _is_finite)
POSITIVE = _number("a finite number above 0", 0, is_open=True)
NOT_NEGATIVE = _number("a finite number of at least 0", 0)
PERIOD = _number("a number of seconds above 0", 0, is_open=True)
DURATION = _number("a finite number of seconds, at least 0", 0)
PERCENTILE = Rule("a number from 0 to 100", lambda value: 0 <= _as_number(value) <= 100)
ORDER = Rule(
    'a number above 0, infinity, or "euclidean"',
    lambda value: value == "euclidean" if isinstance(value, str) else _as_number(value) > 0,
)
INTEGER = Rule("a whole number", _is_whole)
COUNT = Rule("a whole number of at least 1", lambda value: _is_whole(value) and value >= 1)
WHOLE = Rule("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)


WHOLE = Rule("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)
SHARE = Rule("a number from 0 to below 1", lambda value: 0 <= _as_number(value) < 1)


def _is_number_of_steps(value: Any) -> bool:
    if type(value) is int:
        return value >= 1
    number = _as_number(value)
    return 1 <= number < math.inf and number == int(number)


STEPS = Rule("a whole number of at least 1", _is_number_of_steps)
"""As COUNT, but 10.0 is a number of steps, too: it is what dividing a time gives."""

LARGEST_SEED = 2**32 - 1
SEED = Rule(
    f"a whole number from 0 to {LARGEST_SEED}",
    lambda value: _is_whole(value) and 0 <= value <= LARGEST_SEED,
)


# -- words, files, choices


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return value is True or value is False or isinstance(value, np.bool_)


def _is_path(value: Any) -> bool:
    try:
        path = os.fspath(value)
    except TypeError:
        return False
    return isinstance(path, str) and path != "" and "\0" not in path


TEXT = Rule("a text", _is_text)
FLAG = Rule("True or False", _is_flag)
PATH = Rule("the path of a file, as a text or a Path", _is_path)
FOLDER = Rule("the path of a folder, as a text or a Path", _is_path)
FLAG_OR_PATH = Rule(
    "True, False or a path, as a text or a Path",
    lambda value: _is_flag(value) or _is_path(value),
)


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """A NumPy dtype from a NumPy dtype, one of a backend, or a name.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is neither float32 nor float64.
    """
    try:
        found: np.dtype[Any] = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    except TypeError as error:
        raise ValidationError(f"{dtype!r} is no dtype", attr="dtype") from error
    if dtype is None or found not in (np.dtype("float32"), np.dtype("float64")):
        raise ValidationError(f"must be float32 or float64, not {found}", attr="dtype")
    return found


def _is_dtype(value: Any) -> bool:
    try:
        float_dtype(value)
    except Exception:  # what stands for a dtype may be an object of any library
        return False
    return True


DTYPE = Rule("float32 or float64, as a dtype or its name", _is_dtype)


# -- arrays and shapes


def _is_shape(value: Any) -> bool:
    if _is_whole(value):
        return bool(value >= 1)
    if not isinstance(value, (tuple, list, np.ndarray)) or not len(value):
        return False
    return all(_is_whole(length) and length >= 1 for length in value)


def _is_numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError):
        return False


SHAPE = Rule("a tuple of whole numbers of at least 1, or one of them", _is_shape)
TRANSFORM = Rule(
    "an array of numbers or a transform of Nengo",
    lambda value: (
        isinstance(value, (nengo.transforms.Transform, nengo.dists.Distribution))
        or _is_numeric(value)
    ),
)
DIRECTION = Rule(
    "the number of a dimension, or a vector of finite numbers",
    lambda value: (
        _is_whole(value)
        or (
            isinstance(value, (Sequence, np.ndarray))
            and _is_numeric(value)
            and bool(np.isfinite(value).all())
        )
    ),
)


# -- functions and objects


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


_PLAIN = (str, bytes, bool, int, float, complex, np.generic, np.ndarray, type(None))
"""What is data, and so no plugin, no callback and no optimizer."""

MAPPING = instance(Mapping, "a dict")
BY_NODE = instance(Mapping, "a dict from nodes to arrays")
BY_PROBE = instance(Mapping, "a dict from probes to arrays")
FUNCTION = Rule("a function or a layer, and not a class", _is_function)
LAYER = Rule(
    "a function, a layer or a neuron type, each an object and not a class",
    lambda value: _is_function(value) or isinstance(value, nengo.neurons.NeuronType),
)
OBJECTIVE = Rule(
    'a name, such as "mse" or "nan_mse", a function (output, target), a metric object, or a dict '
    "of them by probe",
    lambda value: (
        isinstance(value, (str, Mapping)) or callable(value) or hasattr(value, "update_state")
    ),
)
OPTIMIZER = Rule(
    "an optimizer of the backend or its name",
    # An optimizer may be a named tuple of functions; a plain tuple is none.
    lambda value: (
        isinstance(value, str)
        or not (isinstance(value, (*_PLAIN, Mapping, list)) or type(value) is tuple)
    ),
)
CALLBACKS = Rule(
    "a sequence of callbacks",
    # Which objects are callbacks, and whether one may stand alone, the backend knows.
    lambda value: value is None or not isinstance(value, (*_PLAIN, Mapping)),
)
PAIR = Rule(
    "a pair (inputs, targets) of dicts",
    lambda value: (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(part, Mapping) for part in value)
    ),
)


def _is_data(value: Any) -> bool:
    if value is None or isinstance(value, (Mapping, np.ndarray)):
        return True
    return not isinstance(value, (*_PLAIN, type)) and (
        hasattr(value, "__iter__") or hasattr(value, "__array__") or hasattr(value, "__getitem__")
    )


ARRAYS = Rule("an array, a list or dict of arrays, an iterable of batches, or None", _is_data)
LOSSES = Rule(
    'a name, such as "mse", a function (y_true, y_pred), a loss object, or a list or dict of them',
    lambda value: (
        isinstance(value, (str, Mapping, list, tuple))
        or (callable(value) or hasattr(value, "update_state"))
    ),
)
VERBOSE = Rule(
    '"auto", 0, 1 or 2',
    lambda value: (
        (_is_text(value) and value == "auto")
        or _is_flag(value)
        or (_is_whole(value) and 0 <= value <= 2)
    ),
)
STATEFUL = Rule(
    'True, False or "epochs"',
    lambda value: _is_flag(value) or (_is_text(value) and value == "epochs"),
)
LIST_OR_DICT = instance((list, tuple, Mapping), "a list, or a dict by probe")


def _are_weights(value: Any) -> bool:
    given = value.values() if isinstance(value, Mapping) else value
    return isinstance(value, (Mapping, list, tuple)) and all(map(_is_finite, given))


WEIGHTS = Rule("a list of finite numbers, or a dict of them by probe", _are_weights)
BY_CLASS = Rule(
    "a dict from numbers of classes to finite numbers",
    lambda value: (
        isinstance(value, Mapping)
        and all(map(_is_whole, value))
        and all(map(_is_finite, value.values()))
    ),
)
SAMPLE_WEIGHTS = Rule(
    "an array, or a list or dict of arrays",
    lambda value: hasattr(value, "__array__") or isinstance(value, (Mapping, list, tuple)),
)
PLUGINS = Rule(
    "a list of plugins, which are modules or objects with hooks",
    lambda value: _is_sequence(value) and not any(isinstance(one, _PLAIN) for one in value),
)
DEVICES = Rule(
    'the name of a device, "all", or a list of names',
    lambda value: (
        _is_text(value)
        or (isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_text, value)))
    ),
)
NAMES = Rule(
    "a list of names",
    lambda value: _is_sequence(value) and all(isinstance(name, str) for name in value),
)
BAR = Rule(
    "True, False, None or a progress bar of Nengo",
    lambda value: (
        value is None or _is_flag(value) or isinstance(value, nengo.utils.progress.ProgressBar)
    ),
)
SETTING = Rule(
    "one of True, False, None or a dict of them by object, class or subnetwork",
    lambda value: value is None or value is True or value is False or isinstance(value, Mapping),
)
SPIKE_GRADIENT = one_of(None, "rate", "surrogate")
SURROGATE = Rule(
    f"one of {', '.join(map(repr, sorted(SURROGATES)))} or a function (xp, rate, J) -> smooth "
    "array",
    lambda value: value in SURROGATES if isinstance(value, str) else _is_function(value),
)
ANYTHING = Rule("anything", lambda value: True)


# -- objects of Nengo and ours

NETWORK = instance(nengo.Network, "a nengo.Network")
MODEL = instance(nengo.builder.Model, "a nengo.builder.Model")
PROBE = instance(nengo.Probe, "a nengo.Probe")
PROBES = Rule(
    "a sequence of probes",
    lambda value: _is_sequence(value) and all(isinstance(one, nengo.Probe) for one in value),
)
PROBE_OR_PROBES = Rule(
    "a nengo.Probe or a sequence of them",
    lambda value: isinstance(value, nengo.Probe) or PROBES.accepts(value),
)
ENSEMBLE = instance(nengo.Ensemble, "a nengo.Ensemble")
_PARTS = (nengo.Network, nengo.Ensemble, nengo.Connection, nengo.Node)
PARTS = Rule(
    "a network, an ensemble, a connection, a tensor node, or a list of them",
    lambda value: (
        isinstance(value, _PARTS)
        or (isinstance(value, (list, tuple)) and all(isinstance(one, _PARTS) for one in value))
    ),
)
NEURONS = instance(nengo.neurons.NeuronType, "a neuron type, as an object and not a class")
NEURONS_OR_FACTORY = Rule(
    "a neuron type, as an object and not a class, or a function of the number of neurons that "
    "returns one",
    lambda value: (
        isinstance(value, nengo.neurons.NeuronType)
        or (callable(value) and not isinstance(value, type))
    ),
)
PROCESS = instance(nengo.Process, "a process or a synapse, as an object and not a class")
OPERATOR = Rule(
    "a class of operators",
    lambda value: isinstance(value, type) and issubclass(value, nengo.builder.Operator),
)
SOURCE = Rule(
    "something that a connection may begin at, such as a node, an ensemble or its neurons",
    lambda value: (
        isinstance(value, (nengo.base.NengoObject, nengo.base.ObjView, nengo.ensemble.Neurons))
        and _is_whole(getattr(value, "size_out", None))
    ),
)
SYNAPSE = Rule(
    "a synapse or a time constant, a finite number of at least 0",
    lambda value: isinstance(value, nengo.synapses.Synapse) or NOT_NEGATIVE.accepts(value),
)
SYNAPSES = Rule(
    f"{SYNAPSE.what}, or a dict of them by layer",
    lambda value: isinstance(value, Mapping) or SYNAPSE.accepts(value),
)
RATES = Rule(
    f"{POSITIVE.what}, a dict of them by layer, or a RateTarget",
    lambda value: (
        isinstance(value, Mapping)
        or POSITIVE.accepts(value)
        or all(hasattr(type(value), name) for name in ("percentile", "__dataclass_fields__"))
    ),
)
SIMULATOR = with_attributes(("train", "check_gradients", "signals"), "a nengograd.Simulator")
STATE = with_attributes(("copy", "save", "load"), "a SimulationState, such as sim.state")
PROGRAM = with_attributes(("by_role", "host_blocks"), "a Program, such as sim.program")
PROFILED = with_attributes(("whole", "explained", "builders"), "a Profile, such as sim.profile")
PROFILES = Rule(
    "a list of profiles, such as [sim.profile]",
    lambda value: _is_sequence(value) and all(map(PROFILED.accepts, value)),
)
AXES = with_attributes(("plot", "set_xlabel"), "axes of matplotlib")
