"""Settings of a network, and which of them counts for an object."""

from __future__ import annotations

import pickle
from typing import Any

import nengo
import pytest
from nengo.exceptions import NetworkContextError, ValidationError

from nengograd.config import Settings, configure_settings


def nested() -> tuple[nengo.Network, nengo.Network]:
    with nengo.Network(seed=0) as net:
        nengo.Ensemble(3, 1)
        with nengo.Network() as sub:
            ens = nengo.Ensemble(4, 1)
            nengo.Connection(ens, ens)
            nengo.Probe(ens)
    return net, sub


def test_by_default_all_is_trainable_and_kept_in_float32() -> None:
    net, sub = nested()
    settings = Settings.of(net)
    assert settings.dtype == "float32"
    assert settings.spike_gradient is None
    assert settings.surrogate is None
    for obj in (*net.all_ensembles, sub.ensembles[0].neurons, *sub.connections):
        assert settings.trainable(obj)
    assert settings.keep_history(sub.probes[0])


def test_without_a_network_there_are_the_defaults() -> None:
    assert Settings.of(None) == Settings()


def test_a_subnetwork_inherits() -> None:
    net, sub = nested()
    with net:
        configure_settings(trainable=False, keep_history=False)
    settings = Settings.of(net)
    assert not settings.trainable(sub.connections[0])
    assert not settings.trainable(sub.ensembles[0].neurons)
    assert not settings.keep_history(sub.probes[0])


def test_the_inner_network_wins_over_the_outer_one() -> None:
    net, sub = nested()
    with net:
        configure_settings(trainable=False)
    with sub:
        configure_settings(trainable=True)
    settings = Settings.of(net)
    assert not settings.trainable(net.ensembles[0])
    assert settings.trainable(sub.ensembles[0])


def test_a_class_wins_over_its_network() -> None:
    net, sub = nested()
    with sub:
        configure_settings(trainable={sub: False, nengo.Ensemble: True})
    settings = Settings.of(net)
    assert settings.trainable(sub.ensembles[0])
    assert not settings.trainable(sub.connections[0])


def test_an_object_wins_over_its_class_even_from_outside() -> None:
    net, sub = nested()
    with sub:
        configure_settings(trainable={nengo.Ensemble: True})
    with net:
        configure_settings(trainable={sub.ensembles[0]: False})
    assert not Settings.of(net).trainable(sub.ensembles[0])
    with net:
        configure_settings(trainable={sub.ensembles[0]: None})
    assert Settings.of(net).trainable(sub.ensembles[0])


def test_objects_are_configured_as_nengo_does_it() -> None:
    net, sub = nested()
    with net:
        configure_settings(trainable=None, keep_history=None)
    ens, probe = sub.ensembles[0], sub.probes[0]
    net.config[ens.neurons].trainable = False
    net.config[nengo.Connection].trainable = False
    net.config[probe].keep_history = False
    settings = Settings.of(net)
    assert settings.trainable(ens)
    assert not settings.trainable(ens.neurons)
    assert not settings.trainable(sub.connections[0])
    assert not settings.keep_history(probe)


def test_a_mapping_names_objects_classes_and_subnetworks() -> None:
    net, sub = nested()
    outer = net.ensembles[0]
    wanted = {sub: False, nengo.ensemble.Neurons: False, outer: False, sub.connections[0]: True}
    with net:
        configure_settings(trainable=wanted, keep_history={sub.probes[0]: False})
    settings = Settings.of(net)
    assert not settings.trainable(sub.ensembles[0])
    assert not settings.trainable(outer)
    assert not settings.trainable(outer.neurons)
    assert settings.trainable(sub.connections[0])
    assert not settings.keep_history(sub.probes[0])


def test_a_later_call_changes_only_what_it_names() -> None:
    net, _ = nested()
    with net:
        configure_settings(trainable=False, dtype="float64")
        configure_settings(spike_gradient="rate", surrogate="triangle")
    settings = Settings.of(net)
    assert not settings.trainable(net.ensembles[0])
    assert (settings.dtype, settings.spike_gradient) == ("float64", "rate")
    assert settings.surrogate == "triangle"


@pytest.mark.parametrize("copy", [lambda net: net.copy(), lambda n: pickle.loads(pickle.dumps(n))])
def test_settings_are_copied_and_pickled_with_the_network(copy: Any) -> None:
    net, sub = nested()
    ens = sub.ensembles[0]
    with net:
        configure_settings(
            dtype="float64",
            spike_gradient="surrogate",
            trainable={ens: False, ens.neurons: False, nengo.Connection: False},
            keep_history=False,
        )
    other = copy(net)
    inner = other.networks[0]
    settings = Settings.of(other)
    assert (settings.dtype, settings.spike_gradient) == ("float64", "surrogate")
    assert settings.trainable(other.ensembles[0])
    assert not settings.trainable(inner.ensembles[0])
    assert not settings.trainable(inner.ensembles[0].neurons)
    assert not settings.trainable(inner.connections[0])
    assert not settings.keep_history(inner.probes[0])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            {"trainabel": True},
            "there are biases_follow_ensembles, data_follows_history, detach_learning_rules, "
            "dtype, gains_follow_encoders, keep_history, keep_learned_weights, "
            "layers_follow_networks, lif_smoothing, share_process_seeds, spike_gradient, "
            "stateful, stop_at_nan, surrogate, train_learned_weights, trainable",
        ),
        ({"trainable": "yes"}, "one of True, False, None or a dict of them .*, not 'yes'"),
        ({"trainable": 1}, "not 1"),
        ({"spike_gradient": "soft"}, "None, 'rate', 'surrogate', not 'soft'"),
        ({"dtype": "int32"}, "float32 or float64"),
        ({"surrogate": 3}, "one of 'boxcar', .* or a function .*, not 3"),
        ({"surrogate": "nope"}, "'triangle' or a function .*, not 'nope'"),
        ({"trainable": {nengo.Ensemble: {nengo.Node: True}}}, "must be one of True, False, None"),
        ({"detach_learning_rules": "PES"}, "needs True or False, or None, not 'PES'"),
        ({"trainable": {nengo.Probe: True}}, "classes Ensemble, Neurons, Connection, Node"),
        ({"keep_history": {"p": True}}, "'p' is no object"),
    ],
)
def test_wrong_settings_are_errors_that_say_what_is_right(
    setting: dict[str, Any], words: str
) -> None:
    with nengo.Network() as net, pytest.raises(ValidationError, match=words):
        configure_settings(**{"dtype": "float64", **setting})
    assert Settings.of(net) == Settings()  # what is right beside it has not been set either


def test_an_object_of_another_network_is_an_error() -> None:
    net, _ = nested()
    other, _ = nested()
    with net, pytest.raises(ValidationError, match="no object of this network"):
        configure_settings(trainable={other.ensembles[0]: False})


def test_outside_of_a_network_there_is_nothing_to_configure() -> None:
    with pytest.raises(NetworkContextError, match="inside"):
        configure_settings(trainable=False)


@pytest.mark.parametrize("setting", [{"dtype": "float64"}, {"spike_gradient": "rate"}])
def test_settings_of_the_whole_in_a_subnetwork_are_an_error(setting: dict[str, str]) -> None:
    net, sub = nested()
    with sub:
        configure_settings(**setting)
    with pytest.raises(ValidationError, match="outermost"):
        Settings.of(net)
    assert Settings.of(sub) != Settings()


def test_biases_follow_ensembles_where_nothing_is_said_of_the_neurons() -> None:
    net, sub = nested()
    outer, inner = net.ensembles[0], sub.ensembles[0]
    with net:
        configure_settings(trainable={outer: False, inner: False})
    assert Settings.of(net).trainable(outer.neurons)
    with net:
        configure_settings(biases_follow_ensembles=True, trainable={inner.neurons: True})
    settings = Settings.of(net)
    assert not settings.trainable(outer)
    assert not settings.trainable(outer.neurons)
    assert not settings.trainable(inner)
    assert settings.trainable(inner.neurons)


def test_nodes_follow_networks_unless_they_are_not_to() -> None:
    net, _ = nested()
    with net:
        one, two = nengo.Node(size_in=1), nengo.Node(size_in=1)
        configure_settings(trainable={net: False, two: False})
    assert not Settings.of(net).trainable(one)
    with net:
        configure_settings(layers_follow_networks=False)
    settings = Settings.of(net)
    assert settings.trainable(one)
    assert not settings.trainable(two)
    assert not settings.trainable(net.ensembles[0])
    with net:
        configure_settings(trainable={nengo.Node: False})
    assert not Settings.of(net).trainable(one)


def test_what_learning_rules_change_is_trained_unless_it_is_not_to_be() -> None:
    net, sub = nested()
    learned, ens = sub.connections[0], net.ensembles[0]
    with net:
        learned.learning_rule_type = [nengo.PES()]
        voja = nengo.Connection(ens, ens, learning_rule_type={"a": nengo.Voja()})
    assert Settings.of(net).trainable(learned)
    with net:
        configure_settings(train_learned_weights=False)
    settings = Settings.of(net)
    assert not settings.trainable(learned)
    assert not settings.trainable(ens)
    assert settings.trainable(voja)
    assert settings.trainable(sub.ensembles[0])
    with net:
        configure_settings(trainable={learned: True})
    assert Settings.of(net).trainable(learned)
