"""Which backend runs a model: a rule on what they declare and what the model asks for.

The rule never looks at a clock, nor at what is loaded already: the same script runs the same steps
on the same backends, wherever and however often it runs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..plugin.backend import BackendInfo
from ..plugin.costs import Costs, Work
from ..plugin.executable import Options

__all__ = [
    "Choice",
    "Plan",
    "candidates",
    "explain_choice",
    "find_plan",
    "first_to_run",
    "needed_capability",
]

_NEVER = sys.maxsize


class Plan(NamedTuple):
    """When a simulation goes on with another backend.

    Attributes
    ----------
    backend : str
        That other backend.
    least : int
        Runs of up to so many steps gain nothing there, since a run itself takes longer.
    enough : int
        As soon as so many steps beyond the first `least` of each run have been asked for, it pays
        to start the other backend.
    """

    backend: str
    least: int
    enough: int


@dataclass(eq=False)
class Choice:
    """What has been chosen for a simulator, and when that changes.

    Attributes
    ----------
    asked : str or None
        The backend that the user has named; None where the rule chooses.
    home : str
        The backend that a simulation begins with.
    plan : Plan or None
        Where it goes from there. None where it stays.
    text : str
        The numbers of the rule.
    steps : int
        Steps that were asked for since the start, as `Plan.enough` counts them.
    least : int
        Runs of more steps are counted; past all numbers of steps where nothing is to be decided.
    is_needed : bool
        Whether the present backend is there for what `home` cannot do.
    able : sequence of str
        Where arguments of the simulator have chosen a backend, such as ``unroll_simulation``: those
        that can do what they ask for, and may take its place.
    """

    asked: str | None
    home: str
    plan: Plan | None = None
    text: str = ""
    steps: int = 0
    least: int = _NEVER
    is_needed: bool = False
    able: Sequence[str] = ()

    def start_over(self) -> None:
        """Count anew: a simulation begins at `home`."""
        self.steps = 0
        self.is_needed = False
        self.least = _NEVER if self.plan is None else self.plan.least

    def pays(self, steps: int) -> bool:
        """Count a run of more than `least` steps; whether it is time for the other backend."""
        self.steps += steps - self.least
        return self.plan is not None and self.steps >= self.plan.enough

    def settle(self) -> None:
        """Nothing is to be decided from here on, until the simulation begins anew."""
        self.least = _NEVER


def needed_capability(options: Options, tensorboard: bool) -> str | None:
    """The capability that arguments of a simulator ask for, which not all backends have."""
    if tensorboard:
        return "write_graph"
    if options.is_shared:
        return "share"
    given = options.device is not None or options.jit is not None or options.unroll != 1
    return "compiles" if given else None


def candidates(usable: Mapping[str, BackendInfo], dtype: str) -> dict[str, Costs]:
    """The backends that the rule weighs, with what they declare.

    Parameters
    ----------
    usable : mapping
        Backends that lack no package, the preferred one first. If that declares no costs, nothing
        can be weighed against it, and it is taken.
    dtype : str
        That of the simulation.
    """
    able = {n: info for n, info in usable.items() if dtype in info.capabilities.dtypes}
    if not able or next(iter(able.values())).costs is None:
        return {}
    return {name: info.costs for name, info in able.items() if info.costs is not None}


def first_to_run(costs: Mapping[str, Costs]) -> str:
    """The backend that is quickest to start."""
    return min(costs, key=lambda name: costs[name].before_running(Work()))


def find_plan(home: str, costs: Mapping[str, Costs], work: Work) -> Plan | None:
    """The other backend that is the first to pay, if one ever does.

    Parameters
    ----------
    home : str
        The backend that runs.
    costs : mapping
        What each declares, the preferred one first.
    work : Work
        What a step of the program takes.
    """
    plans = [_plan(home, name, costs, work) for name in costs if name != home]
    return min((plan for plan in plans if plan), key=lambda plan: plan.enough, default=None)


def _plan(home: str, name: str, costs: Mapping[str, Costs], work: Work) -> Plan | None:
    gain = costs[home].per_step(work) - costs[name].per_step(work)
    if gain <= 0:
        return None
    call = max(costs[name].call - costs[home].call, 0.0)
    least = math.floor(call / gain)
    return Plan(name, least, max(math.ceil(costs[name].before_running(work) / gain), 1))


def explain_choice(
    home: str, costs: Mapping[str, Costs], work: Work, plan: Plan | None
) -> list[str]:
    """The numbers of the rule as lines of text."""
    lines = [
        f"a step: {work.blocks} blocks, {work.functions} functions, "
        f"{work.operations:,.0f} operations, {work.products:,.0f} in products, "
        f"{work.bytes:,.0f} bytes, {work.host} on the host"
    ]
    lines += [
        f"{name}: {cost.before_running(work):.2f} s to start, then "
        f"{1e6 * cost.per_step(work):,.1f} us a step and {1e6 * cost.call:,.1f} us a run"
        for name, cost in costs.items()
    ]
    if plan is None:
        return [*lines, f"{home} runs it, however long"]
    beyond = f", the first {plan.least} of each run not counted" if plan.least else ""
    return [*lines, f"{home} begins; {plan.backend} from {plan.enough:,} steps on{beyond}"]
