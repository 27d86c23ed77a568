"""Conformance kit: checks for what plugins implement.

Subclass one of the classes in a test module, and pytest runs each check as a test on each
backend that is installed::

    from nengograd.testing import NeuronConformance

    class TestMyNeuron(NeuronConformance):
        neuron = MyNeuron()

Without pytest, `check_neuron`, `check_process`, `check_source`, `check_operator`, `check_pass`
and `check_backend` run the same checks, and raise one error that lists what has failed.
"""

from .backend import BackendConformance, check_backend
from .conformance import ConformanceError, usable_backends
from .graph_pass import PassConformance, check_pass
from .neuron import NeuronConformance, check_neuron
from .operator import OperatorConformance, check_operator
from .process import ProcessConformance, check_process
from .source import SourceConformance, check_source

__all__ = [
    "BackendConformance",
    "ConformanceError",
    "NeuronConformance",
    "OperatorConformance",
    "PassConformance",
    "ProcessConformance",
    "SourceConformance",
    "check_backend",
    "check_neuron",
    "check_operator",
    "check_pass",
    "check_process",
    "check_source",
    "usable_backends",
]
