"""What is counted, kept and compared: closed forms, and files that are read back."""

import dataclasses
import json

import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengograd.plugin.measuring import Measured, Span, Stopwatch
from nengograd.profile import (
    BlockCost,
    Change,
    Profile,
    comparison,
    load_profile,
    median_profile,
    save_profile,
    table,
)
from nengograd.profile.repeat import ranks
from nengograd.profile.session import within
from nengograd.profile.text import print_comparison
from profiling.trace_format import check_trace

MACHINE = {"bytes_per_second": 1e10, "flops_per_second": 1e11, "processor": "", "python": "3"}


def cost(block=0, seconds=1e-6, **changes):
    made = BlockCost(block, "LIF", "LIFBuilder", "nengograd", 3, 0.1, 0.2, seconds, 400, 100, 60.0)
    return dataclasses.replace(made, **changes)


def profile(blocks, seconds=1e-5, **changes):
    made = Profile(
        model="m",
        backend="numpy",
        dtype="float32",
        device=None,
        minibatch_size=None,
        unit="step",
        steps=10,
        seconds_per_step=seconds,
        profiled_seconds_per_step=2e-5,
        assemble_seconds=0.5,
        compile_seconds=0.25,
        blocks=blocks,
        rest={"records": 1e-6, "calls of the backend": 3e-6},
        method="by hand",
        machine={**MACHINE, "versions": {}},
    )
    return dataclasses.replace(made, **changes)


def test_builders_add_up_their_blocks():
    made = profile([cost(0), cost(1, 3e-6), cost(2, 2e-6, builder="Other", distribution="else")])
    first, second = made.builders
    assert (first.builder, first.distribution) == ("LIFBuilder", "nengograd")
    assert (first.blocks, first.operators) == (2, 6)
    assert np.isclose(first.seconds_per_step, 4e-6)
    assert (second.builder, second.distribution) == ("Other", "else")


def test_blocks_and_rest_add_up_to_the_whole_however_long_the_unprofiled_step_takes():
    for unprofiled in (1e-7, 1e-5, None):
        made = profile([cost(0, 3e-6), cost(1, 1e-6)], seconds=unprofiled)
        assert np.isclose(made.whole, 8e-6)  # 4 us in blocks, 4 us in the rest
        assert np.isclose(made.explained, 0.5)
        shares = [block["share"] for block in made.to_dict()["blocks"]]
        assert np.isclose(sum(shares) + sum(made.rest.values()) / made.whole, 1.0)
    assert "run two or more steps" in table(made)


def test_times_of_parallel_threads_are_scaled_to_what_has_elapsed():
    given = Measured(blocks={0: 3.0, 1: 1.0}, rest={"records": 4.0}, adds_threads=True)
    found = within(given, 2.0)
    assert found.blocks == {0: 0.75, 1: 0.25}
    assert found.rest == {"records": 1.0}
    assert within(found, 5.0) is found


def test_what_is_above_the_bound_of_the_machine_is_a_dash():
    row = next(line for line in table(profile([cost(0, 1e-9)])).splitlines() if "LIF x3" in line)
    assert "5000.0%" not in row  # 500 bytes in 1 ns
    assert "60.0%" in row  # 60 operations in 1 ns
    assert " - " in row


def test_a_saved_profile_is_read_back(tmp_path):
    made = profile([cost(0), cost(1, flops=None, state_bytes=8, repeats=(1.0, 2.0))])
    save_profile(made, tmp_path / "p.json")
    assert load_profile(tmp_path / "p.json") == made


def test_a_table_shows_shares_of_the_machine():
    # 500 bytes in 1 us are 5 % of 10 GB/s, 60 operations 0.06 % of 100 Gflop/s.
    row = next(line for line in table(profile([cost()])).splitlines() if "LIF x3" in line)
    assert "5.0%" in row
    assert "0.1%" in row
    assert "20.0%" in row  # of 1 us and 4 us of rest


def test_a_comparison_puts_the_largest_change_first():
    old = profile([cost(0, 1e-6), cost(1, 2e-6, name="Dot")])
    new = profile([cost(0, 5e-6), cost(1, 1e-6, name="Dot"), cost(2, 1e-7, name="Sum")])
    rows = comparison(old, new)
    assert rows[0] == Change("LIF x3 (LIFBuilder)", 1e-6, 5e-6)
    assert rows[1].name == "Dot x3 (LIFBuilder)"
    assert Change("Sum x3 (LIFBuilder)", 0.0, 1e-7) in rows


def test_a_replaced_builder_is_paired_with_the_one_before():
    old, new = profile([cost(0, 2e-6)]), profile([cost(0, 1e-6, builder="Mine")])
    assert comparison(old, new)[0] == Change("LIF x3 (LIFBuilder -> Mine)", 2e-6, 1e-6)


def test_operators_that_run_in_other_blocks_are_paired_by_their_names():
    host = "Python on the host"
    old = profile([cost(0, 8e-6, name="Mine + Yours", operators=4, builder=host), cost(1)])
    new = profile(
        [
            cost(0, 1e-6, name="Mine", operators=3, builder="MyBuilder"),
            cost(1),
            cost(2, 3e-6, name="Yours", operators=1, builder=host),
            cost(3, 2e-6, name="Dot"),
        ]
    )
    found = {c.name: (c.before, c.after) for c in comparison(old, new) if "x" in c.name}
    assert found == {
        f"Mine + Yours x4 -> Mine x3, Yours x1 ({host} -> MyBuilder, {host})": (8e-6, 4e-6),
        "LIF x3 (LIFBuilder)": (1e-6, 1e-6),
        "Dot x3 (LIFBuilder)": (0.0, 2e-6),
    }


def test_blocks_of_the_same_operators_are_paired_in_order():
    old = profile([cost(0, 1e-6), cost(1, 5e-6)])
    new = profile([cost(0, 4e-6), cost(1, 5e-6)])
    first = comparison(old, new)[0]
    assert first == Change("LIF x3, block 0 (LIFBuilder)", 1e-6, 4e-6)
    (added,) = [c for c in comparison(old, profile([cost(0, 9e-6)])) if "LIF" in c.name]
    assert np.allclose((added.before, added.after), (6e-6, 9e-6))


def repeated(*seconds):
    return median_profile([profile([cost(0, s)], seconds=s) for s in seconds])


def test_repeated_profiles_become_their_medians():
    made = repeated(1e-6, 9e-6, 2e-6)  # whose mean is 4 us
    assert made.blocks[0].seconds_per_step == 2e-6
    assert made.blocks[0].repeats == (1e-6, 9e-6, 2e-6)
    assert made.seconds_per_step == 2e-6
    assert made.rest_repeats["records"] == [1e-6] * 3
    assert "medians of 3 repetitions" in table(made)
    assert "1.5 us to 5.5 us" in table(made)


def test_profiles_of_other_blocks_have_no_median():
    with pytest.raises(ValidationError, match="different blocks"):
        median_profile([profile([cost()]), profile([cost(name="Dot")])])
    with pytest.raises(ValidationError, match="one profile or more"):
        median_profile([])


def test_a_difference_within_the_spread_is_marked():
    old = repeated(1e-6, 2e-6, 3e-6)
    near, far = repeated(2e-6, 3e-6, 4e-6), repeated(7e-6, 8e-6, 9e-6)
    (row,) = [c for c in comparison(old, near) if "LIF" in c.name]
    assert row.is_noise is True
    (row,) = [c for c in comparison(old, far) if "LIF" in c.name]
    assert row.is_noise is False
    (row,) = [c for c in comparison(old, profile([cost()])) if "LIF" in c.name]
    assert row.is_noise is None
    line = next(x for x in compared(old, near).splitlines() if "LIF" in x)
    assert "within the spread" in line
    assert "within the spread" not in next(x for x in compared(old, far).splitlines() if "LIF" in x)
    assert "--repeat 5" in compared(old, profile([cost()]))


def spread(block, *seconds):
    return cost(block, float(np.median(seconds)), name=f"Block{block}", repeats=seconds)


def test_blocks_within_the_spread_of_each_other_have_one_rank():
    blocks = [
        spread(0, 1.0, 1.1, 1.2),
        spread(1, 9.0, 9.1, 9.2),
        spread(2, 4.0, 5.0, 6.0),
        spread(3, 4.5, 4.9, 5.5),
    ]
    made = profile(blocks, repeats=[20.0, 20.1, 20.2])
    assert ranks(made) == {1: 1, 2: 2, 3: 2, 0: 4}
    rows = [line.split() for line in table(made).splitlines()]
    marks = {row[1]: "2=" in row for row in rows if "x3" in row}
    assert marks == {"Block0": False, "Block1": False, "Block2": True, "Block3": True}
    assert "differ by no more than they spread" in table(made)


def test_the_shortest_repetitions_have_to_agree_with_the_rank():
    # Other work on the machine has lengthened most repetitions of the first.
    blocks = [spread(0, 1.0, 9.0, 9.1, 9.2), spread(1, 3.0, 3.1, 3.2, 3.3)]
    assert ranks(profile(blocks)) == {0: 1, 1: 1}
    blocks = [spread(0, 4.0, 9.0, 9.1, 9.2), spread(1, 3.0, 3.1, 3.2, 3.3)]
    assert ranks(profile(blocks)) == {0: 1, 1: 2}


def test_without_repetitions_each_block_has_a_rank_of_its_own():
    assert ranks(profile([cost(0, 1.0), cost(1, 2.0), cost(2, 2.0)])) == {1: 1, 2: 1, 0: 3}


def compared(old, new):
    from rich.console import Console

    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        print_comparison(old, new, console)
    return capture.get()


def test_a_comparison_says_where_the_old_profile_is_of_something_else():
    old = profile([cost()])
    new = profile([cost()], model="other", minibatch_size=8)
    text = compared(old, new)
    assert "something else: model m before, other now; minibatch_size None before, 8 now." in text
    assert "something else" not in compared(old, profile([cost(0, 2e-6)]))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[1]", "is no profile"),
        ('{"format": "nengograd-profile", "version": 99}', "version 99"),
        ('{"format": "nengograd-profile", "version": 3, "blocks": []}', "is damaged"),
    ],
)
def test_a_file_that_is_no_profile_is_named_with_what_is_wrong(tmp_path, text, complaint):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ValidationError, match=complaint):
        load_profile(path)


def test_a_trace_has_the_format_of_chrome(tmp_path):
    spans = [Span("dot", 5.0, 0.25, block=0, thread=2), Span("copy", 5.5, 0.125)]
    save_profile(profile([cost()], spans=spans), tmp_path / "p.json")
    events = json.loads((tmp_path / "p.json").read_text())["traceEvents"]
    check_trace(events)
    dot, copy = [event for event in events if event["ph"] == "X"]
    assert (dot["ts"], dot["dur"], dot["tid"]) == (0.0, 0.25e6, 2)
    assert dot["args"]["builder"] == "LIFBuilder"
    assert (copy["ts"], copy["args"]) == (0.5e6, {})


def test_a_stopwatch_tells_interruptions_of_steady_work_apart(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch()
    for seconds in (0.001, 0.001, 0.009, 0.002):
        for key, is_steady in ((0, True), (1, False)):
            with watch.part(key, "part", is_steady):
                now[0] += seconds
    assert watch.blocks == pytest.approx({0: 0.005, 1: 0.013})
    assert watch.rest == pytest.approx({Stopwatch.INTERRUPTED: 0.008})


def test_a_stopwatch_adds_up_parts_even_when_they_fail():
    watch = Stopwatch()
    with watch.part(3, "block"):
        pass
    with pytest.raises(ZeroDivisionError), watch.part("rest", "rest"):
        _ = 1 / 0
    assert set(watch.blocks) == {3}
    assert set(watch.rest) == {"rest"}
    assert [span.block for span in watch.spans] == [3, None]
