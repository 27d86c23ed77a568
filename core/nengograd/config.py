"""Settings of a network: trainable parameters, precision, gradients of spikes.

They are kept in the configuration that each Nengo network has, and so are copied and pickled
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any

from nengo import Connection, Ensemble, Network, Node, Probe
from nengo.ensemble import Neurons
from nengo.exceptions import NetworkContextError, ValidationError
from nengo.params import BoolParam, Parameter

from .arguments.rules import float_dtype
from .arguments.table import check_argument
from .nengodl import SETTINGS

__all__ = ["Settings", "configure_settings", "learned_by_rules", "shares_process_seeds"]

_CLASSES: dict[str, tuple[type, ...]] = {
    "trainable": (Ensemble, Neurons, Connection, Node),
    "keep_history": (Probe,),
}
"""Settings that can differ from object to object, and the classes that have them."""

_WHOLE = (
    "dtype",
    "spike_gradient",
    "surrogate",
    "lif_smoothing",
    "stop_at_nan",
    "stateful",
    "detach_learning_rules",
    "share_process_seeds",
    "biases_follow_ensembles",
    "layers_follow_networks",
    "gains_follow_encoders",
    "keep_learned_weights",
    "train_learned_weights",
    "data_follows_history",
)
"""Settings of the whole network."""


def configure_settings(**settings: Any) -> None:
    """Change settings of the network in whose ``with`` block this is called.

    Afterwards the configuration of the network has a parameter for each setting that can
    differ from object to object: ``net.config[nengo.Ensemble].trainable = False`` for a
    class, ``net.config[ens].trainable = True`` for an object.

    Parameters
    ----------
    trainable : bool, None or dict, optional
        Whether training may change parameters: the scaled encoders of ensembles, the biases
        of ``ens.neurons``, the weights of connections, the weights of layers in nodes. One value
        for the network and all its subnetworks (None takes that of the network around it), or a
        dict of values by object, class or subnetwork. The setting of an object has precedence,
        then that of the innermost network, and in each network that of the class. By default all
        parameters are trainable.
    keep_history : bool, None or dict, optional
        Whether objectives see all steps of a probe (the default) or the last one. One value or
        a dict, as for ``trainable``, with probes, `nengo.Probe` or subnetworks as keys.
    dtype : str or dtype, optional
        ``"float32"`` (the default) or ``"float64"``. This and the settings below are those of the
        top-level network.
    spike_gradient : str or None, optional
        What takes the place of spikes in training: ``"rate"``, ``"surrogate"``, or None.
    surrogate : str, callable or None, optional
        The derivative of a surrogate: the name of one of `nengograd.surrogates.SURROGATES`, or
        a function ``(xp, rate, J)`` that returns the smooth array to differentiate.
    lif_smoothing : float or None, optional
        The width of the threshold of `nengo.LIF` neurons in training: wherever their rate stands
        in for spikes, it is that of `nengograd.SoftLIFRate` with this ``sigma``, in the unit of the
        current. What runs stays as it is.
    stop_at_nan : bool, optional
        Whether a run stops with an error before the first step that makes a NaN, and a training
        before the first minibatch whose loss or gradients are not finite (the default). False
        passes NaN on.
    stateful : bool, optional
        False lets the simulation go on after no run and no call of ``predict`` and the like,
        whatever their argument ``stateful`` says: each begins where the first one has begun.
    detach_learning_rules : bool or None, optional
        Whether gradients stop at the operands of online learning rules, as if the learned weights
        were given. By default they flow through the rules, so that training takes into account
        how it changes the learning. Detached gradients are cheaper and never grow through the
        learning, but they are not those of the loss.
    share_process_seeds : bool or None, optional
        Whether processes with a seed of their own give all items of a minibatch the same numbers.
        By default each item has others, and the first those of `nengo.Simulator`.
    biases_follow_ensembles : bool or None, optional
        Whether an ensemble whose encoders are not trainable keeps its biases as well, unless
        ``ens.neurons`` or `nengo.ensemble.Neurons` has a setting of its own. By default
        ``trainable`` of an ensemble says nothing of its biases.
    layers_follow_networks : bool or None, optional
        Whether what is set for a network as a whole is the setting of the nodes in it, too (the
        default). With False, layers in nodes are trained unless that of the node or of `nengo.Node`
        forbids it.
    train_learned_weights : bool or None, optional
        Whether training changes what online learning rules begin with (the default). With False
        it leaves the weights, decoders and encoders alone that a rule changes, unless the
        connection or the ensemble itself, or its class, is said to be trainable.
    keep_learned_weights : bool or None, optional
        Whether weights, decoders and encoders that online learning rules change are kept as trained
        parameters are: ``sim.data``, `nengograd.freeze` and files have them as they are now,
        trainings begin with them, they go on from minibatch to minibatch of ``predict`` and
        ``evaluate`` and over runs that are not kept, and only a reset of what is trainable restores
        them. By default they are state of the simulation.
    gains_follow_encoders : bool or None, optional
        Whether ``sim.data`` shows the length of trained encoders as the gain of their ensemble, so
        that ``encoders`` keep theirs, and ``intercepts`` and ``max_rates`` follow. By default the
        gain stays, and the length of ``encoders`` changes.
    data_follows_history : bool or None, optional
        Whether a probe with ``keep_history=False`` keeps the last step of each run alone in
        ``sim.data``, too. By default ``sim.data`` has all steps.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such setting, object or value.
    nengo.exceptions.NetworkContextError
        If it is called outside of a network.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     ens = nengo.Ensemble(10, 1)
    ...     nengograd.configure_settings(spike_gradient="rate", trainable={ens: False})
    """
    if not Network.context:
        raise NetworkContextError("configure_settings has to be called inside 'with network:'")
    network = Network.context[-1]
    changes = [
        change for name, value in settings.items() for change in _changes(network, name, value)
    ]
    for change in changes:
        change()


def _changes(network: Any, name: str, value: Any) -> Iterator[Callable[[], None]]:
    """Check a setting; what has to be done to change it."""
    if name in _CLASSES or name in _WHOLE:
        check_argument("configure_settings", name, value)
    if name in _CLASSES:
        values = value if isinstance(value, Mapping) else {network: value}
        for key, wanted in values.items():
            if not any(wanted is choice for choice in (True, False, None)):
                raise ValidationError(
                    f"the setting of {key} must be one of True, False, None, not {wanted!r}",
                    attr=name,
                )
            place = _place(network, name, key)
            yield partial(_set, *place, name, wanted)
    elif name in _WHOLE:
        if name == "dtype" and value is not None:
            value = float_dtype(value).name
        yield partial(_set, network.config, Network, name, value)
    else:
        if name in SETTINGS:
            raise ValidationError(f"is a setting of NengoDL: {SETTINGS[name]}", attr=name)
        known = ", ".join(sorted((*_CLASSES, *_WHOLE)))
        raise ValidationError(f"there is no such setting; there are {known}", attr=name)


def _place(network: Any, name: str, key: Any) -> tuple[Any, Any]:
    """The configuration, and the key in it, that holds a setting of ``key``."""
    classes = _CLASSES[name]
    if key is network or (isinstance(key, Network) and key in network.all_networks):
        return key.config, Network
    if isinstance(key, type) and issubclass(key, classes):
        return network.config, key
    owner = key.ensemble if isinstance(key, Neurons) else key
    if isinstance(key, classes) and owner in network.all_objects:
        return network.config, key
    listed = ", ".join(cls.__name__ for cls in classes)
    raise ValidationError(
        f"{key!r} is no object of this network with such a setting, nor a subnetwork, nor one "
        f"of the classes {listed}",
        attr=name,
    )


def _set(config: Any, key: Any, name: str, value: Any) -> None:
    for cls in _CLASSES.get(name, ()):
        _add(config, cls, name, BoolParam(name, default=None, optional=True))
    _add(config, Network, name, Parameter(name, default=None, optional=True))
    if isinstance(key, type):
        _add(config, key, name, BoolParam(name, default=None, optional=True))
    setattr(config[key], name, value)


def _add(config: Any, cls: type, name: str, param: Any) -> None:
    """Give a class of a configuration a parameter, if it has none."""
    if cls not in config.params:
        config.configures(cls)
    if name not in config.params[cls].extra_params:
        config.params[cls].set_param(name, param)


@dataclass(frozen=True)
class Settings:
    """The settings that the user has made in a network and its subnetworks.

    Attributes
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.
    spike_gradient : str or None
        What stands in for spikes: ``"rate"`` or ``"surrogate"``.
    surrogate : object
        Which derivative a surrogate has; None for the default.
    lif_smoothing : float or None
        The width of the threshold of LIF neurons in training.
    stop_at_nan : bool
        Whether runs and trainings stop at the first NaN.
    stateful : bool
        Whether the simulation goes on after a run.
    detach_learning_rules : bool
        Whether gradients stop at what online learning rules read.
    share_process_seeds : bool
        Whether processes with a seed of their own give all items the same numbers.
    keep_learned_weights : bool
        Whether what online learning rules change is kept as trained parameters are.
    gains_follow_encoders : bool
        Whether encoders keep their length in training, and gains do not.
    data_follows_history : bool
        Whether data of probes are without history, too.
    fixed : frozenset
        Objects whose parameters training must not change.
    last_only : frozenset
        Probes of which objectives see the last step.
    """

    dtype: str = "float32"
    spike_gradient: str | None = None
    surrogate: Any = None
    lif_smoothing: float | None = None
    stop_at_nan: bool = True
    stateful: bool = True
    detach_learning_rules: bool = False
    share_process_seeds: bool = False
    keep_learned_weights: bool = False
    gains_follow_encoders: bool = False
    data_follows_history: bool = False
    fixed: frozenset[Any] = frozenset()
    last_only: frozenset[Any] = frozenset()

    @classmethod
    def of(cls, network: Any) -> Settings:
        """The settings of a network, all defaults for None.

        Raises
        ------
        nengo.exceptions.ValidationError
            If a subnetwork has a setting that only counts for the whole network.
        """
        if network is None:
            return cls()
        for inner in network.all_networks:
            for name in _WHOLE:
                if _get(inner.config, Network, name) is not None:
                    raise ValidationError(
                        f"is set in the subnetwork {inner}; it counts for the whole network, "
                        "set it in the outermost one",
                        attr=name,
                    )
        whole = {name: _get(network.config, Network, name) for name in _WHOLE}
        for name, value in whole.items():  # who writes into the configuration passes no check
            check_argument("configure_settings", name, value)
        biases = whole.pop("biases_follow_ensembles") is True
        layers = whole.pop("layers_follow_networks") is not False
        learned = whole.pop("train_learned_weights") is not False
        return cls(
            **{name: value for name, value in whole.items() if value is not None},
            fixed=_fixed(network, biases, layers, learned),
            last_only=frozenset(_switched(network, "keep_history", False)),
        )

    def keep_history(self, probe: Any) -> bool:
        """Whether objectives see all steps of a probe."""
        return probe not in self.last_only

    def trainable(self, obj: Any) -> bool:
        """Whether training may change the parameters of an object."""
        return obj not in self.fixed


def shares_process_seeds(network: Any) -> bool:
    """The setting `share_process_seeds` of a network, without a look at its objects."""
    return bool(network is not None and _get(network.config, Network, "share_process_seeds"))


def learned_by_rules(network: Any) -> frozenset[Any]:
    """Connections whose weights, and ensembles whose encoders, online learning rules change.

    Parameters
    ----------
    network : nengo.Network
        The outermost network.
    """
    return frozenset(
        connection.post_obj if rule.modifies == "encoders" else connection
        for connection in network.all_connections
        for rule in _rules(connection.learning_rule_type)
    )


def _rules(given: Any) -> list[Any]:
    rules = given.values() if isinstance(given, Mapping) else given
    return list(rules) if isinstance(given, (list, tuple, Mapping)) else [given] if given else []


def _fixed(network: Any, biases: bool, layers: bool, learned: bool) -> frozenset[Any]:
    """The objects that are not trainable, by the settings of the whole network.

    What an object or its class says has precedence over what follows from something else.
    """

    def said(value: bool) -> AbstractSet[Any]:
        return set(_switched(network, "trainable", value, whole=False))

    fixed = set(_switched(network, "trainable", False))
    if not layers:
        fixed -= set(network.all_nodes) - said(False)
    if biases:
        fixed |= {ens.neurons for ens in network.all_ensembles if ens in fixed} - said(True)
    if not learned:
        fixed |= learned_by_rules(network) - said(True)
    return frozenset(fixed)


def _switched(
    network: Any, name: str, value: bool, outer: tuple[Any, ...] = (), whole: bool = True
) -> Iterator[Any]:
    """The objects for which a setting has a value, with or without those of whole networks."""
    configs = (network.config, *(net.config for net in outer))
    for obj in _objects(network):
        if isinstance(obj, _CLASSES[name]) and _resolve(configs, obj, name, whole) is value:
            yield obj
    for inner in network.networks:
        yield from _switched(inner, name, value, (network, *outer), whole)


def _objects(network: Any) -> Iterator[Any]:
    yield from network.ensembles
    yield from (ensemble.neurons for ensemble in network.ensembles)
    for objects in (network.nodes, network.connections, network.probes):
        yield from objects


def _resolve(configs: tuple[Any, ...], obj: Any, name: str, whole: bool) -> Any:
    """The setting of an object; configurations are those around it, innermost first."""
    found = [_get(config, obj, name) for config in configs]
    for config in configs:
        found += [_get(config, cls, name) for cls in type(obj).__mro__]
        if whole:
            found.append(_get(config, Network, name))
    return next((value for value in found if value is not None), None)


def _get(config: Any, key: Any, name: str) -> Any:
    """The setting of just this key, or None."""
    if key not in config.params:
        return None
    params = config.params[key]
    known = params.extra_params if isinstance(key, type) else params._clsparams.extra_params
    return getattr(params, name) if name in known and name in params else None
