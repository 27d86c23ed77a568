"""The tables of RESULTS.md and its chart, from what `compare.py` has measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import Case

from nengograd.plot import benchmark_bars

SIMULATORS = ("nengo", "nengo_dl", "numpy", "tensorflow", "jax")
"""In the order of the columns."""

COMPILED = ("tensorflow", "jax")
"""The backends that ratios are of."""

Results = dict[str, dict[str, Any]]
"""What each simulator has measured, by the key of the case and its name."""

CLASSIC = ("integrator", "circular_convolution", "basal_ganglia")


def ratio(row: Mapping[str, Any], peer: str, simulator: str) -> float | None:
    """How many times faster a simulator is than a peer."""
    if peer not in row or simulator not in row:
        return None
    return float(row[peer]["item_us"]) / float(row[simulator]["item_us"])


def total(found: Mapping[str, Any]) -> float:
    """From the network to the end of the first run, in seconds."""
    return float(found["build_s"]) + float(found["first_s"])


def mean(ratios: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def table(selected: Sequence[Case], results: Results) -> list[str]:
    """The rows of the main table."""
    names = " | ".join(SIMULATORS)
    lines = [
        f"| case | batch | {names} | spread | tensorflow vs nengo, NengoDL "
        "| jax vs nengo, NengoDL | jax vs tensorflow | to reach |",
        f"| --- | --: |{' --: |' * len(SIMULATORS)} --- | --- | --- | --: | --- |",
    ]
    for case in selected:
        row = results.get(case.key, {})
        cells = [f"{row[s]['item_us']:,.1f}" if s in row else "-" for s in SIMULATORS]
        spread = ", ".join(_spread(row[s]) if s in row else "-" for s in COMPILED)
        goals = (case.against_nengo, case.against_dl)
        ratios = [
            ", ".join(
                _mark(ratio(row, peer, backend), goal)
                for peer, goal in zip(("nengo", "nengo_dl"), goals, strict=True)
            )
            for backend in COMPILED
        ]
        between = _mark(ratio(row, "tensorflow", "jax"), 1 / 1.1, digits=2)
        wanted = ", ".join("-" if g is None else f"{g:.2g}" for g in goals)
        lines.append(
            f"| {case.label} | {case.minibatch} | {' | '.join(cells)} | {spread} | "
            f"{' | '.join(ratios)} | {between} | {wanted} |"
        )
    return lines


def _spread(found: Mapping[str, Any]) -> str:
    return f"{(found['high_us'] - found['low_us']) / found['item_us']:.0%}"


def _mark(found: float | None, goal: float | None, digits: int = 1) -> str:
    if found is None:
        return "-"
    text = f"{found:.{digits}f}x" if found < 100 else f"{found:.0f}x"
    return text if goal is None or found >= goal else f"**{text}**"


def means(selected: Sequence[Case], results: Results) -> list[str]:
    """Geometric means: of the six classic cases against peers, of all between backends."""
    lines = []
    for minibatch in (1, 10):
        rows = [
            results.get(c.key, {})
            for c in selected
            if c.minibatch == minibatch and c.name in CLASSIC and not c.options
        ]
        for peer, name in (("nengo", "nengo"), ("nengo_dl", "NengoDL")):
            for backend in COMPILED:
                found = [r for r in (ratio(row, peer, backend) for row in rows) if r]
                if found:
                    lines.append(
                        f"- {backend} on integrator, circular convolution, basal ganglia, batch "
                        f"{minibatch}, against {name}: geometric mean {mean(found):.1f}x, "
                        f"least {min(found):.1f}x"
                    )
    every = [ratio(results.get(c.key, {}), "tensorflow", "jax") for c in selected if not c.options]
    found = [r for r in every if r]
    if found:
        lines.append(
            f"- jax against tensorflow, all rows: geometric mean {mean(found):.2f}x, least "
            f"{min(found):.2f}x"
        )
    return lines


def first_results(selected: Sequence[Case], results: Results) -> list[str]:
    """Time from network to the end of the first run, and peak memory."""
    names = " | ".join(SIMULATORS)
    lines = [
        f"| case | batch | {names} | peak memory (MB): {', '.join(SIMULATORS)} |",
        f"| --- | --: |{' --: |' * len(SIMULATORS)} --- |",
    ]
    for case in selected:
        row = results.get(case.key, {})
        if case.options:
            continue
        times = {s: f"{total(row[s]):.2f} s" for s in SIMULATORS if s in row}
        for backend in COMPILED:
            if backend in row and not first_is_soon(case, row, backend):
                times[backend] = f"**{times[backend]}**"
        memory = ", ".join(str(row[s]["rss_mb"]) if s in row else "-" for s in SIMULATORS)
        cells = " | ".join(times.get(s, "-") for s in SIMULATORS)
        lines.append(f"| {case.label} | {case.minibatch} | {cells} | {memory} |")
    return lines


def first_is_soon(case: Case, row: Mapping[str, Any], backend: str) -> bool:
    """Whether the first result comes as soon as it is meant to, where that is said."""
    if case.against_nengo is None:
        return True
    ours = total(row[backend])
    soon = True
    if "nengo" in row:
        nengo = total(row["nengo"])
        soon = ours < nengo if nengo > 2 else ours < nengo + 1
    return soon and ("nengo_dl" not in row or 2 * ours <= total(row["nengo_dl"]))


def bandwidth(selected: Sequence[Case], results: Results) -> list[str]:
    """Bytes moved per second by learned weights."""
    lines = []
    for case in selected:
        row = results.get(case.key, {})
        rates = [
            f"{backend} {case.bytes_moved / row[backend]['item_us'] * 1e6 / 1e9:.1f} GB/s"
            for backend in COMPILED
            if backend in row
        ]
        if case.bytes_moved and rates:
            lines.append(
                f"- {case.label}, batch {case.minibatch}: {case.bytes_moved / 1e6:.1f} MB a step "
                f"and item, {', '.join(rates)}"
            )
    return lines


def assembly_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How assembly grows with the model."""
    lines = [
        "| ensembles | operators | blocks | Nengo's build | assembly | per operator "
        "| compiling and first step | peak memory |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['ensembles']:,} | {row['operators']:,} | {row['blocks']} | "
            f"{row['build_s']:.1f} s | {row['assembly_s']:.2f} s | {row['operator_us']:.0f} us | "
            f"{row['first_step_s']:.1f} s | {row['rss_mb']:,} MB |"
        )
    return lines


def dense_weights(selected: Sequence[Case], results: Results, bare_us: float) -> list[str]:
    """What the dense network takes beside its bare products."""
    dense = next(case for case in selected if case.name == "dense")
    row = results.get(dense.key, {})
    whole = [
        f"on {backend} {row[backend]['item_us']:,.0f} us, {row[backend]['item_us'] / bare_us:.2f} "
        "times that"
        for backend in COMPILED
        if backend in row
    ]
    return [
        f"The two products of 2,000 x 2,000 weights with a vector take {bare_us:,.0f} us by "
        f"themselves, in a loop of TensorFlow; the whole model takes {'; '.join(whole)}."
    ]


def versions(results: Results) -> str:
    """What was installed where it was measured."""
    found: dict[str, str] = {}
    for row in results.values():
        for name, one in row.items():
            side = "NengoDL's " if name == "nengo_dl" else ""
            found |= {side + key: value for key, value in one["versions"].items()}
    return ", ".join(f"{k} {v}" for k, v in sorted(found.items()))


def page(
    measured_on: str,
    selected: Sequence[Case],
    results: Results,
    assemblies: Sequence[Mapping[str, Any]],
    bare_us: float,
) -> str:
    """The text of RESULTS.md.

    Parameters
    ----------
    measured_on : str
        When and where.
    selected : sequence of Case
        All rows.
    results : mapping
        What was measured, by the key of the row and the simulator.
    assemblies : sequence of mapping
        What assembling random networks took.
    bare_us : float
        Microseconds of the bare products of the dense network.
    """
    lines = [
        "# Results",
        "",
        f"{measured_on}; {versions(results)}. `make bench` does it.",
        "",
        "Times are in microseconds per time step and item of the minibatch, medians of 5 runs, "
        "without building and compiling; float32 on nengograd and NengoDL. `nengo` is "
        "`nengo.Simulator` with SciPy, which runs one item after the other. Ratios say how many "
        "times faster the first is; **bold** ones miss what was to be reached, which is 0.91 "
        "(within 10 %) for jax against tensorflow. The spread is the range of the 5 runs over "
        "their median, of tensorflow and of jax.",
        "",
        *table(selected, results),
        "",
        *means(selected, results),
        "",
        "![ratios](results.png)",
        "",
        "## From the network to the first result",
        "",
        "Building, compiling and the first 1,000 steps, without imports; Nengo's decoder cache is "
        "off. What rows with a goal above are meant to reach: faster than nengo where that takes "
        "over 2 s, else within 1 s of it; half of NengoDL's time. **Bold** ones miss one of both.",
        "",
        *first_results(selected, results),
        "",
        "## Assembly",
        "",
        "Random networks of ensembles with 10 neurons and 4 connections each, on the TensorFlow "
        "backend. Assembly is all from a built Nengo model to a program.",
        "",
        *assembly_table(assemblies),
        "",
        "## Dense weights",
        "",
        *dense_weights(selected, results, bare_us),
        "",
        "## Memory traffic of learned weights",
        "",
        *bandwidth(selected, results),
        "",
    ]
    return "\n".join(lines)


def draw(selected: Sequence[Case], results: Results, path: Path) -> None:
    """Draw how many times faster the compiled backends are than nengo."""
    import matplotlib

    matplotlib.use("Agg")
    ratios = {}
    for case in selected:
        row = results.get(case.key, {})
        found = {f"{b} against nengo": ratio(row, "nengo", b) for b in COMPILED}
        found["tensorflow against NengoDL"] = ratio(row, "nengo_dl", "tensorflow")
        if any(found.values()):
            ratios[f"{case.label}, batch {case.minibatch}"] = {n: r for n, r in found.items() if r}
    ax = benchmark_bars(ratios, label="times faster (2 CPU cores)")
    ax.figure.savefig(path, dpi=110)
