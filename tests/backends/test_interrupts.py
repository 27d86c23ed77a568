"""Ctrl-C while a library traces."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import nengo
import numpy as np
import pytest

from nengograd_xla.interrupts import deferred_interrupts


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def deferring(body: Callable[[], Any]) -> None:
    with deferred_interrupts():
        body()


def test_ctrl_c_comes_when_the_body_has_ended() -> None:
    done = []

    def body() -> None:
        press_ctrl_c()
        done.append(True)

    with pytest.raises(KeyboardInterrupt):
        deferring(body)
    assert done


def test_a_second_ctrl_c_comes_at_once() -> None:
    done = []

    def body() -> None:
        press_ctrl_c()
        press_ctrl_c()
        done.append(True)

    with pytest.raises(KeyboardInterrupt):
        deferring(body)
    assert not done


def test_bodies_may_be_nested() -> None:
    done = []

    def body() -> None:
        deferring(press_ctrl_c)
        done.append(True)

    with pytest.raises(KeyboardInterrupt):
        deferring(body)
    assert done


def test_ctrl_c_works_as_before_afterwards() -> None:
    with deferred_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_an_error_of_the_body_is_not_lost_behind_ctrl_c() -> None:
    def body() -> None:
        press_ctrl_c()
        raise ValueError("of the body")

    with pytest.raises(KeyboardInterrupt) as caught:
        deferring(body)
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    found: list[Any] = []

    def body() -> None:
        with deferred_interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    body()
    press_ctrl_c()
    assert found == [signal.default_int_handler, signal.SIG_IGN]


@pytest.mark.needs("differentiate")
def test_ctrl_c_while_training_is_traced_keeps_the_library_usable(make_sim: Callable) -> None:
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node([0.5])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(stimulus, ens)
        probe = nengo.Probe(ens, synapse=0.01)
    pressed = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        if not pressed:
            pressed.append(True)
            press_ctrl_c()
        return (y_pred[0, 0, 0] - y_true[0, 0, 0]) ** 2

    sim = make_sim(net)
    targets = {probe: np.zeros((4, 3, 1))}
    with pytest.raises(KeyboardInterrupt):
        sim.train({}, targets, "sgd", objective=loss)
    history = sim.train({}, targets, "sgd", objective=loss, n_epochs=2)
    assert pressed
    assert np.isfinite(history["loss"]).all()
