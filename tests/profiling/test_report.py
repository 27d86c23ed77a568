"""What is counted, kept and compared: closed forms, and files that are read back."""

import dataclasses
import json

import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengograd.plugin.measuring import Span, Stopwatch
from nengograd.profile import BlockCost, Profile, comparison, load_profile, save_profile, table
from nengograd.profile.table import print_comparison
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


def test_a_report_says_what_is_missing_where_blocks_explain_too_little():
    assert profile([cost(0, 8.1e-6)]).missing == {}
    little = profile([cost(0, 7.9e-6)])
    assert np.isclose(little.explained, 0.79)
    assert list(little.missing) == ["calls of the backend", "records"]
    assert "what is missing: calls of the backend 3 us" in table(little)


def test_what_is_missing_and_the_blocks_add_up_to_the_whole():
    # 2 us in blocks and 4 us in the rest leave 4 us of 10.
    slow = profile([cost(0, 2e-6)])
    assert np.isclose(sum(slow.missing.values()), 8e-6)
    (left,) = [seconds for name, seconds in slow.missing.items() if "slower" in name]
    assert np.isclose(left, 4e-6)
    assert "slower before it was measured" in table(slow)


def test_shares_refer_to_the_profiled_step_where_no_other_is_known():
    assert profile([cost(0, 1e-5)], seconds=None).explained == 0.5
    assert "run two or more steps" in table(profile([cost(0, 1e-5)], seconds=None))


def test_a_saved_profile_is_read_back(tmp_path):
    made = profile([cost(0), cost(1, flops=None)])
    save_profile(made, tmp_path / "p.json")
    assert load_profile(tmp_path / "p.json") == made


def test_a_table_shows_shares_of_the_machine():
    # 500 bytes in 1 us are 5 % of 10 GB/s, 60 operations 0.06 % of 100 Gflop/s.
    row = next(line for line in table(profile([cost()])).splitlines() if "LIF x3" in line)
    assert "5.0%" in row
    assert "0.1%" in row
    assert "10.0%" in row  # of the step


def test_a_comparison_puts_the_largest_change_first():
    old = profile([cost(0, 1e-6), cost(1, 2e-6, name="Dot")])
    new = profile([cost(0, 5e-6), cost(1, 1e-6, name="Dot"), cost(2, 1e-7, name="Sum")])
    rows = comparison(old, new)
    assert rows[0][0] == "LIF x3 (LIFBuilder)"
    assert np.allclose(rows[0][1:], (1e-6, 5e-6))
    assert rows[1][0] == "Dot x3 (LIFBuilder)"
    assert ("Sum x3 (LIFBuilder)", 0.0, 1e-7) in rows


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
        ('{"format": "nengograd-profile", "version": 1, "blocks": []}', "is damaged"),
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


def test_a_stopwatch_adds_up_parts_even_when_they_fail():
    watch = Stopwatch()
    with watch.part(3, "block"):
        pass
    with pytest.raises(ZeroDivisionError), watch.part("rest", "rest"):
        _ = 1 / 0
    assert set(watch.blocks) == {3}
    assert set(watch.rest) == {"rest"}
    assert [span.block for span in watch.spans] == [3, None]
