"""Time of a trace, shared out to blocks and to what belongs to none."""

import numpy as np
import pytest

pytest.importorskip("nengograd_xla")
from nengograd.plugin import Stopwatch
from nengograd_xla.attribution import NOTE, TRACER, Event, Traced, attribute, block_note
from nengograd_xla.hlo import CONTROL, COPIES, OTHER, RECORDS

TEXT = """\
HloModule steps

%fused (p.0: f32[4]) -> f32[4] {
  %p.0 = f32[4]{0} parameter(0)
  %m.1 = f32[4]{0} multiply(%p.0, %p.0), metadata={op_name="while/block_1_end/mul"}
  ROOT %s.1 = f32[4]{0} subtract(%m.1, %p.0), metadata={op_name="while/block_2_end/sub"}
}

%counted (p.1: s32[]) -> s32[] {
  %p.1 = s32[] parameter(0)
  ROOT %a.1 = s32[] add(%p.1, %p.1), metadata={op_name="while/body/add"}
}

%body (b: (s32[], f32[4])) -> (s32[], f32[4]) {
  %dot.1 = f32[4]{0} dot(%x, %x), metadata={op_name="while/block_1_end/dot"}
  %both = f32[4]{0} fusion(%dot.1), kind=kLoop, calls=%fused
  %count = s32[] fusion(%n), kind=kLoop, calls=%counted
  %copy.1 = f32[4]{0} copy(%both)
  %row = f32[4]{0} add(%both, %both), metadata={op_name="while/part_records_end/add"}
  %loose = f32[4]{0} add(%both, %both), metadata={op_name="while/body/add"}
}

ENTRY %main (x.0: f32[4]) -> f32[4] {
  %while.1 = (s32[], f32[4]{0}, /*index=5*/f32[4]{0}) while(%t), body=%body
}
"""
STEPS = [Traced("steps", lambda: TEXT)]
CALL = "call"


def found(events, functions=STEPS):
    measured = attribute([Event(*event) for event in events], functions, {})
    return {**measured.blocks, **measured.rest}


def test_each_moment_goes_to_the_innermost_event_that_is_known():
    rows = found(
        [
            (NOTE + CALL, 0.0, 20.0, 0),
            ("something of the library", 1.0, 18.0, 0),
            ("ThunkExecutor::Execute", 2.0, 16.0, 0),
            ("while.1", 3.0, 14.0, 0),
            ("dot.1", 4.0, 2.0, 0),
            ("end: dot.1", 5.5, 0.5, 0),
            ("both", 6.0, 2.0, 0),
            ("count", 8.0, 1.0, 0),
            ("copy.1", 9.0, 1.0, 0),
            ("row", 10.0, 1.0, 0),
            ("loose", 11.0, 1.0, 0),
        ]
    )
    assert rows == {
        CALL: 4.0,  # 0 to 2 and 18 to 20
        CONTROL: 2.0 + 6.0 + 1.0,  # the executor, the loop between its instructions, its counter
        1: 1.5 + 1.0,  # a product, and half of a fusion
        2: 1.0,
        TRACER: 0.5,
        COPIES: 1.0,
        RECORDS: 1.0,
        OTHER: 1.0,
    }


def test_threads_that_compute_share_a_moment_and_those_that_wait_have_none_of_it():
    rows = found(
        [
            (NOTE + CALL, 0.0, 10.0, 0),
            ("ThunkExecutor::Execute", 1.0, 8.0, 0),
            ("dot.1", 2.0, 4.0, 1),
            ("row", 4.0, 4.0, 2),
        ]
    )
    # The product runs alone from 2 to 4, beside the other from 4 to 6; the loop waits meanwhile.
    assert rows == {CALL: 2.0, CONTROL: 2.0, 1: 2.0 + 1.0, RECORDS: 1.0 + 2.0}


def test_a_block_on_the_host_has_what_is_noted_of_it():
    rows = found([(NOTE + CALL, 0.0, 5.0, 0), (NOTE + block_note(7), 1.0, 3.0, 0)])
    assert rows == {CALL: 2.0, 7: 3.0}


def test_what_runs_beside_an_unknown_event_is_not_lost():
    assert found([("else", 0.0, 9.0, 0), ("row", 1.0, 1.0, 0), ("else", 3.0, 1.0, 0)]) == {
        RECORDS: 1.0
    }


def test_what_an_instruction_takes_far_beyond_its_usual_time_is_an_interruption():
    ms = 1e-3
    usual = [("dot.1", 10 * k * ms, 0.1 * ms, 0) for k in range(9)]
    long = [("dot.1", 90 * ms, 6.0 * ms, 0), ("end: dot.1", 95.5 * ms, 0.5 * ms, 0)]
    rows = found([*usual, *long])
    assert rows == pytest.approx({1: 1.0 * ms, Stopwatch.INTERRUPTED: 5.4 * ms, TRACER: 0.5 * ms})
    # Neither what is far from a time slice nor what may well take longer is one.
    other = [("dot.1", 90 * ms, 0.4 * ms, 0)]
    assert found([*usual, *other]) == pytest.approx({1: 1.3 * ms})
    host = [
        (NOTE + block_note(3), 10 * k * ms, length * ms, 0) for k, length in enumerate([1, 1, 8])
    ]
    assert found(host) == pytest.approx({3: 10 * ms})


@pytest.mark.parametrize("seed", range(20))
def test_rows_add_up_to_the_time_in_which_anything_known_went_on(seed):
    rng = np.random.RandomState(seed)
    names = [NOTE + CALL, "while.1", "dot.1", "both", "copy.1", "unknown", "end: dot.1"]
    events = []

    def fill(start, end, thread, depth):
        cuts = np.sort(rng.uniform(start, end, 2 * rng.randint(1, 4)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=True):
            events.append((names[rng.randint(len(names))], a, b - a, thread))
            if depth:
                fill(a, b, thread, depth - 1)

    for thread in range(3):
        fill(0.0, 1.0, thread, 2)
    rng.shuffle(events)
    events = [(str(name), float(a), float(b), int(thread)) for name, a, b, thread in events]
    # Independently: each little cell of time counts once if something known covers its middle.
    bounds = np.unique([[a, a + b] for _, a, b, _ in events])
    middles, widths = (bounds[1:] + bounds[:-1]) / 2, np.diff(bounds)
    covered = np.zeros(len(middles), bool)
    for name, a, b, _ in events:
        if name != "unknown":
            covered |= (middles > a) & (middles < a + b)
    assert sum(found(events).values()) == pytest.approx(widths[covered].sum(), rel=1e-9)


def test_the_call_that_is_nearest_says_whose_instruction_an_event_is():
    other = TEXT.replace("block_1_end/dot", "block_9_end/dot")
    functions = [*STEPS, Traced("segment", lambda: other)]
    rows = found(
        [
            ("run(steps)", 0.0, 4.0, 0),
            ("dot.1", 1.0, 1.0, 0),
            ("run(segment)", 5.0, 4.0, 0),
            ("dot.1", 6.0, 2.0, 0),
        ],
        functions,
    )
    assert rows == {1: 1.0, 9: 2.0}


def test_operations_that_xla_has_not_compiled_bear_the_name_of_their_scope():
    events = [("while/block_3_end/add:AddV2", 0.0, 1.0, 0), ("while/x:Mul", 2.0, 1.0, 0)]
    assert found(events, [Traced("steps", None)]) == {3: 1.0}
