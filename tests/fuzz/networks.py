"""Random Nengo networks, as plain data that prints, shrinks and can be pasted into a test.

A `NetworkSpec` says in numbers and strings what is in a network; `NetworkSpec.build` makes it.
Strings such as ``"LIF(tau_rc=0.01)"`` are expressions in the names of nengo and of this file.
The strategy `networks` draws specs that `nengo.Simulator` can build and run, up to a rare
`nengo.exceptions.BuildError` where no evaluation point makes any neuron fire.

Weights are scaled to what flows through them and functions of free inputs are bounded, so that
two correct simulators stay together to rounding for some tens of steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from fuzz.own_types import TYPES

__all__ = [
    "Array",
    "Conn",
    "Ens",
    "NetworkSpec",
    "Node",
    "Probe",
    "Ref",
    "Rule",
    "networks",
]

Index = slice | int | tuple[int, ...] | None


# -- what expressions may use


def levels(size: int, rows: int, seed: int) -> np.ndarray:
    """Random values between -1 and 1, ``(rows, size)``."""
    return np.random.RandomState(seed).uniform(-1, 1, (rows, size))


def lags(*taus: float, num: Sequence[float] = (1,)) -> nengo.LinearFilter:
    """A filter with one real pole per time constant."""
    den = np.ones(1)
    for tau in taus:
        den = np.polymul(den, [tau, 1])
    return nengo.LinearFilter(list(num), den)


def wave(size: int, frequency: float = 40.0) -> Callable[[float], np.ndarray]:
    """A function of time."""
    return lambda t: np.sin(2 * np.pi * frequency * t + np.arange(size))


def ramp(t: float) -> float:
    """A scalar function of time."""
    return 10 * t - 0.3


def mix(size_out: int) -> Callable[[float, np.ndarray], np.ndarray]:
    """A bounded function of time and input."""
    return lambda t, x: np.sin(np.sum(x) + np.arange(size_out) + 20 * t)


def sink(t: float, x: np.ndarray) -> None:
    """A function without output."""


def sine(x: np.ndarray) -> np.ndarray:
    return np.sin(3 * np.asarray(x))


def squash(x: np.ndarray) -> np.ndarray:
    return np.tanh(x) ** 2


def product(x: np.ndarray) -> Any:
    return np.tanh(x[0]) * np.tanh(x[-1])


def doubled(x: np.ndarray) -> np.ndarray:
    return np.concatenate([np.tanh(x), np.cos(x)])


def constant(x: np.ndarray) -> list[float]:
    return [0.3, -0.4]


FUNCTIONS = {f.__name__: f for f in (sine, squash, product, doubled, constant)}

NAMES: dict[str, Any] = {
    **{name: getattr(nengo, name) for name in nengo.__dict__ if name[0].isupper()},
    **vars(nengo.neurons),
    **vars(nengo.synapses),
    **vars(nengo.processes),
    **vars(nengo.dists),
    **vars(nengo.solvers),
    **vars(nengo.learning_rules),
    **FUNCTIONS,
    **TYPES,
    **{f.__name__: f for f in (levels, lags, wave, mix, sink, ramp)},
}


def evaluate(expression: str | None) -> Any:
    """What an expression in a spec stands for."""
    return None if expression is None else eval(expression, dict(NAMES))


# -- plain data


class Brief:
    """Prints only what differs from the defaults."""

    def __repr__(self) -> str:
        parts = []
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.default is dataclasses.MISSING or value != f.default:
                parts.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class Ens(Brief):
    """An ensemble. ``path`` are the nested subnetworks it lies in."""

    neurons: int
    dims: int
    type: str = "LIF()"
    radius: float = 1.0
    noise: str | None = None
    normalize: bool = True
    path: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class Array(Brief):
    """An ensemble array; ``extra`` is a second output that decodes this function."""

    neurons: int
    ensembles: int
    dims: int = 1
    type: str = "LIF()"
    extra: str | None = None
    path: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class Node(Brief):
    """A node; without ``output`` it passes its input on."""

    output: str | None
    size_in: int = 0
    size_out: int = 0
    path: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class Ref(Brief):
    """The number of an object, which part of it, and which of its dimensions."""

    obj: int
    part: str = ""
    index: Index = None


@dataclass(frozen=True, repr=False)
class Rule(Brief):
    """A learning rule, what is connected to its input, and to which part of that."""

    type: str
    error: Ref | None = None
    synapse: str | None = None
    into: Index = None


@dataclass(frozen=True, repr=False)
class Conn(Brief):
    """A connection.

    ``transform`` is one of none, scalar, diag, dense, sparse, conv and conv_transpose; its
    weights follow from ``seed`` and ``scale``.
    """

    pre: Ref
    post: Ref
    transform: str = "none"
    synapse: str | None = None
    function: str | None = None
    solver: str | None = None
    rules: tuple[Rule, ...] = ()
    scale: float = 1.0
    seed: int = 0


@dataclass(frozen=True, repr=False)
class Probe(Brief):
    """A probe of an object, of a connection (``conn``) or of one of its rules (``rule``)."""

    attr: str
    target: Ref | None = None
    conn: int | None = None
    rule: int | None = None
    synapse: str | None = None
    sample_every: float | None = None


@dataclass(frozen=True, repr=False)
class NetworkSpec:
    """A network as plain data."""

    objects: tuple[Ens | Array | Node, ...]
    connections: tuple[Conn, ...] = ()
    probes: tuple[Probe, ...] = ()
    seed: int = 0

    def __repr__(self) -> str:
        lines = ["NetworkSpec("]
        for name in ("objects", "connections", "probes"):
            values = getattr(self, name)
            lines += [f"    {name}=("] + [f"        {v!r}," for v in values] + ["    ),"]
        return "\n".join([*lines, f"    seed={self.seed},", ")"])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # Hypothesis prints dataclasses field by field unless told otherwise.
        printer.text(repr(self))

    def build(self) -> tuple[nengo.Network, list[nengo.Probe]]:
        """The network and its probes, in the order of ``probes``."""
        with nengo.Network(seed=self.seed) as net:
            folders: dict[tuple[int, ...], nengo.Network] = {(): net}
            objects = [_build_object(spec, _folder(folders, spec.path)) for spec in self.objects]
            connections = [_build_connection(spec, self, objects) for spec in self.connections]
            for spec, conn in zip(self.connections, connections, strict=True):
                _build_errors(spec, conn, objects)
            probes = [_build_probe(spec, objects, connections) for spec in self.probes]
        return net, probes


# -- building


def _folder(folders: dict[tuple[int, ...], nengo.Network], path: tuple[int, ...]) -> nengo.Network:
    if path not in folders:
        with _folder(folders, path[:-1]):
            folders[path] = nengo.Network(label=f"part{path}")
    return folders[path]


def _build_object(spec: Ens | Array | Node, folder: nengo.Network) -> Any:
    with folder:
        if isinstance(spec, Ens):
            return nengo.Ensemble(
                spec.neurons,
                spec.dims,
                neuron_type=evaluate(spec.type),
                radius=spec.radius,
                noise=evaluate(spec.noise),
                normalize_encoders=spec.normalize,
                # Few points make networks quick to build: Izhikevich simulates each of them.
                n_eval_points=100,
            )
        if isinstance(spec, Array):
            array = nengo.networks.EnsembleArray(
                spec.neurons,
                spec.ensembles,
                ens_dimensions=spec.dims,
                neuron_type=evaluate(spec.type),
                n_eval_points=100,
            )
            if _has_neurons(spec):
                array.add_neuron_input()
                array.add_neuron_output()
            if spec.extra is not None:
                array.add_output("extra", evaluate(spec.extra))
            return array
        return nengo.Node(
            evaluate(spec.output), size_in=spec.size_in, size_out=spec.size_out or None
        )


def _resolve(ref: Ref, objects: Sequence[Any], post: bool = False) -> Any:
    target = objects[ref.obj]
    if ref.part == "neurons" and not isinstance(target, nengo.Ensemble):
        target = target.neuron_input if post else target.neuron_output
    elif ref.part:
        target = getattr(target, ref.part)
    if ref.index is None:
        return target
    return target[list(ref.index) if isinstance(ref.index, tuple) else ref.index]


def _build_connection(spec: Conn, net: NetworkSpec, objects: Sequence[Any]) -> nengo.Connection:
    pre, post = _resolve(spec.pre, objects), _resolve(spec.post, objects, post=True)
    options: dict[str, Any] = {"synapse": evaluate(spec.synapse)}
    size_in, size_out = pre.size_out, post.size_in
    if spec.function is not None:
        options["function"] = FUNCTIONS[spec.function]
        size_in = np.size(FUNCTIONS[spec.function](np.zeros(size_in)))
    if spec.solver is not None:
        options["solver"] = evaluate(spec.solver)
    if spec.rules:
        rules = [evaluate(rule.type) for rule in spec.rules]
        options["learning_rule_type"] = rules[0] if len(rules) == 1 else rules
    transform = _transform(spec, size_out, size_in)
    if transform is not None:
        options["transform"] = transform
    return nengo.Connection(pre, post, **options)


def _transform(spec: Conn, rows: int, columns: int) -> Any:
    rng = np.random.RandomState(spec.seed)
    if spec.transform == "none":
        return None
    if spec.transform == "scalar":
        return spec.scale
    if spec.transform == "diag":
        return rng.uniform(-spec.scale, spec.scale, rows)
    if spec.transform == "dense":
        return rng.uniform(-spec.scale, spec.scale, (rows, columns))
    if spec.transform == "sparse":
        weights = rng.uniform(-spec.scale, spec.scale, (rows, columns))
        weights[rng.uniform(size=weights.shape) < 0.6] = 0
        weights[rng.randint(rows), rng.randint(columns)] = spec.scale
        if spec.seed % 2:
            indices = np.argwhere(weights)
            return nengo.Sparse((rows, columns), indices=indices, init=weights[tuple(indices.T)])
        return nengo.Sparse((rows, columns), init=sparse.csr_matrix(weights))
    return _convolution(spec.transform, columns, spec.seed, spec.scale)


def _convolution(kind: str, size: int, seed: int, scale: float) -> Any:
    """A convolution over an input of a given size; everything else follows from the seed."""
    rng = np.random.RandomState(seed)
    shapes: list[tuple[int, ...]] = [(size, 1)]
    shapes += [(size // c, c) for c in (2, 3) if size % c == 0]
    shapes += [(h, size // h, 1) for h in (2, 3, 4) if size % h == 0 and size // h > 1]
    shape = shapes[rng.randint(len(shapes))]
    space, channels_last = shape[:-1], bool(rng.randint(2))
    kernel = tuple(int(rng.randint(1, min(n, 3) + 1)) for n in space)
    make = nengo.Convolution if kind == "conv" else nengo.ConvolutionTranspose
    return make(
        n_filters=int(rng.randint(1, 4)),
        input_shape=shape if channels_last else (shape[-1], *space),
        kernel_size=kernel,
        strides=tuple(int(rng.randint(1, 3)) for _ in space),
        padding=("same", "valid")[rng.randint(2)],
        channels_last=channels_last,
        init=nengo.dists.Uniform(-scale, scale),
    )


def _build_errors(spec: Conn, conn: nengo.Connection, objects: Sequence[Any]) -> None:
    learning = conn.learning_rule if len(spec.rules) > 1 else [conn.learning_rule]
    for rule, target in zip(spec.rules, learning if spec.rules else (), strict=True):
        if rule.error is None:
            continue
        pre = _resolve(rule.error, objects)
        rng = np.random.RandomState(spec.seed + 1)
        scale = _flow(rule.error.part, pre.size_out)
        if rule.into is not None:
            target = target[list(rule.into) if isinstance(rule.into, tuple) else rule.into]
        nengo.Connection(
            pre,
            target,
            transform=rng.uniform(-scale, scale, (target.size_in, pre.size_out)),
            synapse=evaluate(rule.synapse),
        )


def _build_probe(
    spec: Probe, objects: Sequence[Any], connections: Sequence[nengo.Connection]
) -> nengo.Probe:
    if spec.conn is None:
        assert spec.target is not None
        target = _resolve(spec.target, objects)
    else:
        target = connections[spec.conn]
        if spec.rule is not None:
            rules = target.learning_rule
            target = rules[spec.rule] if isinstance(rules, list) else rules
    return nengo.Probe(
        target, spec.attr, synapse=evaluate(spec.synapse), sample_every=spec.sample_every
    )


# -- what a spec implies


def _is_direct(spec: Any) -> bool:
    return isinstance(spec, Ens | Array) and spec.type == "Direct()"


def _has_neurons(spec: Any) -> bool:
    return isinstance(spec, Ens | Array) and not _is_direct(spec)


def _flow(part: str, size: int) -> float:
    """The weight that brings the summed output of a part to about one."""
    return 1.0 / (200.0 * size) if part == "neurons" else 1.0 / max(size, 1) ** 0.5


def _outputs(spec: Ens | Array | Node) -> dict[str, int]:
    """Parts that connections can start from, and their sizes."""
    if isinstance(spec, Ens):
        parts = {"": spec.dims}
        if _has_neurons(spec):
            parts["neurons"] = spec.neurons
        return parts
    if isinstance(spec, Array):
        parts = {"output": spec.ensembles * spec.dims}
        if _has_neurons(spec):
            parts["neurons"] = spec.ensembles * spec.neurons
        if spec.extra is not None:
            parts["extra"] = spec.ensembles * np.size(FUNCTIONS[spec.extra](np.zeros(spec.dims)))
        return parts
    size = spec.size_in if spec.output is None else spec.size_out
    return {"": size} if size else {}


def _inputs(spec: Ens | Array | Node) -> dict[str, int]:
    """Parts that connections can end at, and their sizes."""
    if isinstance(spec, Node):
        return {"": spec.size_in} if spec.size_in else {}
    parts = _outputs(spec)
    parts.pop("extra", None)
    if "output" in parts:
        parts["input"] = parts.pop("output")
    return parts


# -- strategies


def _choice(values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(values))


tenths = st.integers(-10, 10).map(lambda i: i / 10)
seeds = st.integers(0, 99)

OWN_SYNAPSES = ["Echo(0.9)", "Echo(-0.4)", "Echo(0.2)"]

synapses = _choice(
    [
        "Lowpass(0.005)",
        "Lowpass(0.02)",
        "Lowpass(0)",
        "Lowpass(1e-5)",
        "Alpha(0.004)",
        "Triangle(0.004)",
        "Triangle(0.001)",
        "LinearFilter([1], [1])",
        "LinearFilter([0.3], [1, -0.7], analog=False)",
        "lags(0.003, 0.008)",
        "lags(0.01, num=[0.004, 1])",
        "LinearFilter([1], [2e-5, 0.004, 1])",
        "lags(0.002, 0.004, 0.006, num=[0.002, 1])",
        "lags(0.004, 0.005, 0.006, 0.007)",
        "LinearFilter([1], [0.02, 1], method='euler')",
        "Alpha(0.003, default_dt=0.001)",
        *OWN_SYNAPSES,
    ]
)
"""Expressions for synapses that hold a value for at least one step."""

optional_synapses = st.none() | synapses

# What has no builder runs step by step, and is slow: few networks have some of it.
host_synapses = _choice(["HostEcho(0.8)", "HostEcho(-0.3)"])

RATE_TYPES = [
    "LIFRate()",
    "LIFRate(tau_rc=0.03, amplitude=0.7)",
    "RectifiedLinear()",
    "RectifiedLinear(amplitude=0.6)",
    "Sigmoid()",
    "Tanh()",
    "AdaptiveLIFRate(tau_n=0.05)",
    "Steep(0.7)",
    "Steep(1.3)",
]

NEURON_TYPES = [
    "LIF()",
    "LIF(tau_rc=0.01, tau_ref=0.001, amplitude=0.5)",
    "LIF(min_voltage=-1)",
    "LIF(initial_state={'voltage': Uniform(0, 1)})",
    *RATE_TYPES,
    "Sigmoid(tau_ref=0.0024)",
    "AdaptiveLIF()",
    "AdaptiveLIF(tau_n=0.02, inc_n=0.05)",
    "SpikingRectifiedLinear()",
    "SpikingRectifiedLinear(amplitude=0.3)",
    "Izhikevich()",
    "Izhikevich(tau_recovery=0.1, coupling=0.25)",
    "Direct()",
    "HostSteep(0.7)",
    "HostSteep(1.2)",
]


@st.composite
def neuron_types(draw: st.DrawFn, poisson: bool = False, smooth: bool = False) -> str:
    """Expressions for neuron types; smooth ones have a slope almost everywhere."""
    if smooth:
        return draw(_choice(RATE_TYPES))
    if draw(st.integers(0, 3)) < 3:
        return draw(_choice(NEURON_TYPES))
    kinds = ["RegularSpiking", "StochasticSpiking"] + ["PoissonSpiking"] * poisson
    amplitude = draw(_choice(["", ", amplitude=0.5"]))
    return f"{draw(_choice(kinds))}({draw(_choice(RATE_TYPES))}{amplitude})"


@st.composite
def noises(draw: st.DrawFn) -> str:
    """Expressions for noise processes of any size."""
    seed = draw(_choice(["", ", seed=3"]))
    return draw(
        _choice(
            [
                f"WhiteNoise(Gaussian(0, 0.05){seed})",
                f"WhiteNoise(Uniform(-1, 1), scale=False{seed})",
                f"FilteredNoise(synapse=Alpha(0.005), dist=Gaussian(0, 0.1){seed})",
                f"FilteredNoise(synapse=Lowpass(0.01), scale=False{seed})",
                f"BrownNoise(dist=Gaussian(0, 0.5){seed})",
            ]
        )
    )


@st.composite
def paths(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(0, 1), max_size=2)))


@st.composite
def ensembles(draw: st.DrawFn, poisson: bool, smooth: bool) -> Ens:
    kind = draw(neuron_types(poisson, smooth))
    noisy = kind != "Direct()" and not smooth
    noise = draw(st.none() | st.none() | noises()) if noisy else None
    return Ens(
        neurons=draw(st.integers(1, 20)),
        dims=draw(st.integers(1, 4)),
        type=kind,
        radius=draw(_choice([1.0, 1.0, 0.5, 2.0])),
        noise=noise,
        normalize=draw(_choice([True, True, False])),
        path=draw(paths()),
    )


@st.composite
def arrays(draw: st.DrawFn, poisson: bool, smooth: bool) -> Array:
    return Array(
        neurons=draw(st.integers(2, 8)),
        ensembles=draw(st.integers(1, 4)),
        dims=draw(st.integers(1, 2)),
        type=draw(neuron_types(poisson, smooth)),
        extra=draw(st.none() | _choice(["sine", "product"])),
        path=draw(paths()),
    )


OWN_PROCESSES = ["Leak(0.005)", "Leak(0.01)", "Leak(0.04)", "HostLeak(0.006)", "HostLeak(0.03)"]


@st.composite
def nodes(draw: st.DrawFn, smooth: bool) -> Node:
    size = draw(st.integers(1, 4))
    path = draw(paths())
    kinds = ["constant", "passthrough", "time", "process", "filter"]
    kind = draw(_choice(kinds if smooth else [*kinds, "input", "sink"]))
    if kind == "constant":
        values = draw(st.lists(tenths, min_size=size, max_size=size))
        return Node(repr(values), 0, size, path)
    if kind == "passthrough":
        # Wider than the rest, so that convolutions and slices have something to work on.
        return Node(None, draw(st.integers(1, 12)), path=path)
    if kind == "time":
        if draw(st.booleans()):
            return Node(f"wave({size})", 0, size, path)
        return Node("ramp", 0, 1, path)
    if kind == "input":
        return Node(f"mix({size})", draw(st.integers(1, 4)), size, path)
    if kind == "filter":
        own = OWN_PROCESSES[:3] if smooth else OWN_PROCESSES
        return Node(draw(synapses | _choice(own)), size, size, path)
    if kind == "sink":
        return Node("sink", size, 0, path)
    processes = [
        f"PresentInput(levels({size}, 3, 1), 0.004)",
        f"Piecewise(dict(zip([0.003, 0.008, 0.011], levels({size}, 3, 2))))",
        f"Piecewise(dict(zip([0, 0.01, 0.03], levels({size}, 3, 2))), 'linear')",
    ]
    if smooth:  # training draws other random numbers for each epoch
        return Node(draw(_choice(processes)), 0, size, path)
    seed = draw(_choice(["", ", seed=5"]))
    random = [
        f"WhiteSignal(0.05, high=80, rms=0.4{seed})",
        f"WhiteSignal(0.01, high=200, y0=0{seed})",
    ]
    return Node(draw(_choice(processes + random) | noises()), 0, size, path)


@st.composite
def picks(draw: st.DrawFn, size: int, k: int, repeats: bool = False) -> Index:
    """An index that picks k of ``size`` dimensions."""
    ways = ["slice", "reversed", "list"]
    if k == size:
        ways = ["all", "all", *ways]
    if 2 * (k - 1) < size and k > 1:
        ways.append("strided")
    if k == 1:
        ways.append("int")
    if repeats:
        ways.append("repeats")
    way = draw(_choice(ways))
    if way == "all":
        return None
    if way == "repeats":
        return tuple(draw(st.lists(st.integers(-size, size - 1), min_size=k, max_size=k)))
    if way == "list":
        return tuple(draw(st.permutations(range(size)))[:k])
    if way == "int":
        return draw(st.integers(-size, size - 1))
    span = 2 * (k - 1) + 1 if way == "strided" else k
    start = draw(st.integers(0, size - span))
    if way == "reversed":
        return slice(start + k - 1, start - 1 if start else None, -1)
    return slice(start, start + span, 2 if way == "strided" else None)


def _parts(specs: Sequence[Any], which: Callable[[Any], dict[str, int]]) -> list[tuple[int, str]]:
    return [(i, part) for i, spec in enumerate(specs) for part in which(spec)]


@st.composite
def connections(draw: st.DrawFn, specs: list[Any], smooth: bool) -> Conn | None:
    """A connection between objects; a convolution may append a node for its output."""
    sources, targets = _parts(specs, _outputs), _parts(specs, _inputs)
    if not sources or not targets:
        return None
    i, pre_part = draw(_choice(sources))
    pre_size, seed = _outputs(specs[i])[pre_part], draw(seeds)
    decoded = isinstance(specs[i], Ens) and pre_part == "" and _has_neurons(specs[i])
    kinds = ["none", "scalar", "diag", "dense", "dense"]
    if not decoded and pre_size > 1:
        kinds += ["sparse", "conv", "conv_transpose"]
    kind = draw(_choice(kinds))

    if kind.startswith("conv"):
        scale = _flow(pre_part, pre_size)
        size_out = int(_convolution(kind, pre_size, seed, scale).size_out)
        specs.append(Node(None, size_out))
        post = Ref(len(specs) - 1)
        return Conn(Ref(i, pre_part), post, kind, draw(optional_synapses), scale=scale, seed=seed)

    j, post_part = draw(_choice(targets))
    post_size = _inputs(specs[j])[post_part]
    # Without a synapse a connection takes no time, so that no cycle may consist of these.
    synapse = draw(optional_synapses if j > i else synapses)
    if not smooth and draw(st.integers(0, 15)) == 15:
        synapse = draw(host_synapses)

    size = draw(st.integers(1, pre_size))
    function = None
    node_with_output = isinstance(specs[i], Node) and specs[i].output is not None and not smooth
    if (isinstance(specs[i], Ens) and pre_part == "") or node_with_output:
        function = draw(st.none() | _choice(FUNCTIONS))
    mid = size if function is None else np.size(FUNCTIONS[function](np.zeros(size)))
    scale = _flow(pre_part, mid)
    if pre_part == "neurons" and kind == "none":
        kind = "scalar"  # a neuron's output is in the hundreds
    if kind in ("none", "scalar", "diag") and mid > post_size:
        kind = "dense"
    k = mid if kind in ("none", "scalar", "diag") else draw(st.integers(1, post_size))
    if kind == "scalar":
        scale *= draw(_choice([1.0, -0.7]))
    pre = Ref(i, pre_part, draw(picks(pre_size, size, kind not in ("dense", "sparse"))))
    post = Ref(j, post_part, draw(picks(post_size, k)))

    solver = None
    if decoded:
        solver = draw(st.none() | _choice(["Lstsq()", "LstsqL2(reg=0.2)", "LstsqL2(weights=True)"]))
        to_ensemble = isinstance(specs[j], Ens) and post_part == "" and _has_neurons(specs[j])
        if solver == "LstsqL2(weights=True)" and not to_ensemble:
            solver = None
    return Conn(pre, post, kind, synapse, function, solver, (), scale, seed)


@st.composite
def errors(draw: st.DrawFn, specs: Sequence[Any]) -> Ref:
    i, part = draw(_choice(_parts(specs, _outputs)))
    size = _outputs(specs[i])[part]
    return Ref(i, part, draw(picks(size, draw(st.integers(1, size)))))


@st.composite
def learned(draw: st.DrawFn, specs: Sequence[Any], smooth: bool) -> Conn | None:
    """A connection with one to three learning rules, in any wiring that Nengo can build."""
    pres = [i for i, s in enumerate(specs) if isinstance(s, Ens) and _has_neurons(s)]
    if not pres:
        return None
    kind = draw(_choice(["decoded", "decoded", "weights", "neurons", "factors", "encoders"]))
    i, j, part, seed = draw(_choice(pres)), draw(_choice(pres)), "", draw(seeds)
    pre_part = "neurons" if kind in ("neurons", "factors") else ""
    if kind == "encoders":
        i, pre_part = draw(_choice([e for e in _parts(specs, _outputs) if e[1] != "neurons"]))
    if kind in ("decoded", "factors"):
        j, part = draw(_choice([end for end in _parts(specs, _inputs) if end[1] != "neurons"]))
    if kind == "neurons":
        part = "neurons"
    rules = draw(learning_rules(kind, _is_learning_ensemble(specs[j], part), smooth))
    # These two compute with all neurons of an ensemble, whatever part is connected.
    whole = kind == "neurons" and any(r.type.startswith(("BCM", "Oja")) for r in rules)
    pre_size, post_size = _outputs(specs[i])[pre_part], _inputs(specs[j])[part]
    n = pre_size if whole else draw(st.integers(1, pre_size))
    k = post_size if whole else draw(st.integers(1, post_size))
    transform = "dense"
    function = None
    if kind == "decoded":
        function = draw(st.none() | _choice(FUNCTIONS))
        mid = n if function is None else np.size(FUNCTIONS[function](np.zeros(n)))
        if mid <= post_size and draw(st.booleans()):
            k, transform = mid, draw(_choice(["none", "scalar", "diag"]))
    pre = Ref(i, pre_part, None if whole else draw(picks(pre_size, n)))
    post = Ref(j, part, None if whole else draw(picks(post_size, k)))
    # Between neurons, too, Nengo has the error of what their ensemble represents.
    error_size = specs[j].dims if part == "neurons" else k
    return Conn(
        pre,
        post,
        transform,
        draw(optional_synapses if j > i else synapses),
        function,
        "LstsqL2(weights=True)" if kind == "weights" else None,
        tuple(draw(wired(specs, rule, error_size)) for rule in rules),
        _flow(pre_part, n),
        seed,
    )


def _is_learning_ensemble(spec: Any, part: str) -> bool:
    return isinstance(spec, Ens) and part == "" and _has_neurons(spec)


@st.composite
def learning_rules(draw: st.DrawFn, kind: str, to_ensemble: bool, smooth: bool) -> list[Rule]:
    """Rules for a kind of connection, none of them wired yet."""
    # A gradient through a rule shows only if the rule learns much in a few steps.
    rate = "0.1" if smooth else "1e-3"
    filtered = draw(_choice(["", ", pre_synapse=None", ", pre_synapse=Alpha(0.003)"]))
    post_synapse = draw(_choice(["", ", post_synapse=None"]))
    decoders = [
        f"PES(learning_rate={rate}{filtered})",
        "PES(learning_rate=1e-4)",
        f"RLS(learning_rate=1e-3{filtered})",
        "RLS(learning_rate=1e-5)",
    ]
    encoders = [f"Voja(learning_rate={rate}{post_synapse})"]
    weights = [
        f"BCM(learning_rate=1e-10{filtered})",
        f"BCM(learning_rate=1e-10, theta_synapse=Lowpass(0.1){filtered})",
        f"Oja(learning_rate=1e-7{filtered})",
        "Oja(learning_rate=1e-7, beta=0.5, post_synapse=Alpha(0.01))",
    ]
    types = {
        "decoded": decoders + encoders * to_ensemble,
        "factors": decoders,
        "weights": [*decoders[:2], *weights],
        "neurons": [*decoders[:2], *weights],
        "encoders": encoders,
    }[kind]
    most = 1 if kind == "encoders" else 3
    chosen = draw(st.lists(_choice(types), min_size=1, max_size=most))
    return [Rule(rule) for rule in chosen]


@st.composite
def wired(draw: st.DrawFn, specs: Sequence[Any], rule: Rule, size: int) -> Rule:
    """A rule with an error connection into all of its input, a part of it, or without one."""
    name = rule.type.split("(")[0]
    if name in ("BCM", "Oja") or draw(st.integers(0, 3)) == 3:
        return rule
    into = None
    if name != "Voja" and draw(st.booleans()):
        into = draw(picks(size, draw(st.integers(1, size))))
    error, synapse = draw(errors(specs)), draw(optional_synapses)
    return dataclasses.replace(rule, error=error, synapse=synapse, into=into)


@st.composite
def probes(draw: st.DrawFn, specs: Sequence[Any], conns: Sequence[Conn]) -> Probe:
    """A probe of anything."""
    options: list[dict[str, Any]] = []
    for i, spec in enumerate(specs):
        if isinstance(spec, Ens):
            options += [{"target": Ref(i), "attr": a, "size": spec.dims} for a in ("input", "")]
            options.append({"target": Ref(i), "attr": "scaled_encoders"})
            if _has_neurons(spec):
                names = {*evaluate(spec.type).probeable, "input"}
                for name in sorted(names):
                    target = Ref(i, "neurons")
                    options.append({"target": target, "attr": name, "size": spec.neurons})
        else:
            for part, size in _outputs(spec).items():
                options.append({"target": Ref(i, part), "attr": "output", "size": size})
    for c, conn in enumerate(conns):
        names = ["output", "input"]
        weighted = conn.transform != "none" or _has_neurons(specs[conn.pre.obj])
        if weighted and conn.transform != "sparse" and conn.pre.part in ("", "neurons"):
            names.append("weights")
        options += [{"conn": c, "attr": name} for name in names]
        for r, rule in enumerate(conn.rules):
            for name in evaluate(rule.type).probeable:
                options.append({"conn": c, "rule": r, "attr": name})

    chosen = draw(_choice(options))
    size = chosen.pop("size", None)
    if chosen["attr"] == "":
        chosen["attr"] = "decoded_output"
    if size is not None:
        k = draw(st.integers(1, size))
        target = chosen["target"]
        chosen["target"] = Ref(target.obj, target.part, draw(picks(size, k)))
    return Probe(
        synapse=draw(st.none() | synapses),
        sample_every=draw(_choice([None, None, None, 0.002, 0.003, 0.0025, 0.001])),
        **chosen,
    )


@st.composite
def networks(
    draw: st.DrawFn,
    poisson: bool = False,
    max_objects: int = 5,
    max_connections: int = 6,
    smooth: bool = False,
) -> NetworkSpec:
    """Random networks.

    Parameters
    ----------
    poisson : bool
        Whether PoissonSpiking may occur; its random numbers need not match between backends.
    max_objects : int
        Ensembles, arrays and nodes; convolutions may add nodes.
    max_connections : int
        Connections, not counting those into learning rules.
    smooth : bool
        Whether every part has to have a gradient, and none may be random.
    """
    ens, node, array = ensembles(poisson, smooth), nodes(smooth), arrays(poisson, smooth)
    kinds = ens | ens | node | node | array
    specs = draw(st.lists(kinds, min_size=1, max_size=max_objects))
    conns: list[Conn] = []
    for _ in range(draw(st.integers(0, max_connections))):
        learns = draw(st.integers(0, 1 if smooth else 3)) == 1
        conn = draw(learned(specs, smooth) if learns else connections(specs, smooth))
        if conn is not None:
            conns.append(conn)
    if not any(_outputs(spec) for spec in specs):
        specs.append(Node("wave(1)", 0, 1))
    watched = [draw(probes(specs, conns)) for _ in range(draw(st.integers(1, 5)))]
    return NetworkSpec(tuple(specs), tuple(conns), tuple(watched), draw(seeds))
