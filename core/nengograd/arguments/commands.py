"""The options of each command of the command line, as rows of the table of arguments."""

from __future__ import annotations

from . import rules
from .rules import Rule, one_of, optional

__all__ = ["COMMANDS"]

_KIND_OF_PLUGIN = one_of(
    "neuron", "process", "synapse", "learning-rule", "operator", "backend", "pass"
)
_COMMAND = {
    "script": rules.PATH,
    "network": optional(rules.TEXT),
    "dt": rules.PERIOD,
    "backend": optional(rules.TEXT),
    "plugin": rules.NAMES,
}
_RUNNING_COMMAND = {
    **_COMMAND,
    "minibatch": optional(rules.COUNT),
    "dtype": optional(rules.DTYPE),
    "device": optional(rules.TEXT),
    "seed": optional(rules.SEED),
    "no_progress": rules.FLAG,
}

COMMANDS: dict[str, dict[str, Rule]] = {
    "nengograd run": {
        **_RUNNING_COMMAND,
        "time": rules.DURATION,
        "save": optional(rules.PATH),
        "plot": optional(rules.PATH),
    },
    "nengograd launch": {
        "processes": rules.COUNT,
        "script": rules.PATH,
        "arguments": rules.NAMES,
    },
    "nengograd explain": {**_COMMAND, "program": rules.FLAG, "source": rules.FLAG},
    "nengograd graph": {
        **_COMMAND,
        "output": rules.PATH,
        "profile": optional(rules.PATH),
        "most": rules.COUNT,
    },
    "nengograd profile": {
        **_RUNNING_COMMAND,
        "steps": optional(rules.COUNT),
        "repeat": rules.COUNT,
        "train": rules.FLAG,
        "spike_gradient": rules.SPIKE_GRADIENT,
        "output": rules.PATH,
        "against": optional(rules.PATH),
        "tensorboard": optional(rules.FOLDER),
    },
    "nengograd plugins": {"backend": optional(rules.TEXT)},
    "nengograd new-plugin": {
        "name": rules.TEXT,
        "kind": _KIND_OF_PLUGIN,
        "folder": rules.FOLDER,
    },
}
"""Command -> option -> rule."""
