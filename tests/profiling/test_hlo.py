"""Which blocks the instructions of a compiled program belong to."""

import pytest

pytest.importorskip("tensorflow")
from nengograd_xla.hlo import CONTROL, COPIES, block_scope, owner, owners

TEXT = """\
HloModule a_inference_steps_1__.2, is_scheduled=true

%fused (p.0: f32[4]) -> f32[4] {
  %p.0 = f32[4]{0} parameter(0)
  %m.1 = f32[4]{0} multiply(%p.0, %p.0), metadata={op_type="Mul" op_name="while/block_1_end/mul"}
  %a.1 = f32[4]{0} add(%m.1, %p.0), metadata={op_type="Add" op_name="while/block_1_end/add"}
  ROOT %s.1 = f32[4]{0} subtract(%a.1, %p.0), metadata={op_name="while/block_12_end_1/sub"}
}

ENTRY %main (x.0: f32[4]) -> f32[4] {
  %x.0 = f32[4]{0} parameter(0)
  %both = f32[4]{0} fusion(%x.0), kind=kLoop, calls=%fused, metadata={op_name="while"}
  %dot.7 = f32[4]{0} dot(%both, %both), metadata={op_name="gradient_tape/block_3_end/MatMul"}
  %copy.2 = f32[4]{0} copy(%dot.7)
  ROOT %r = f32[4]{0} add(%copy.2, %x.0), metadata={op_name="while/part_records_end/add"}
}
"""


def test_a_fusion_is_shared_by_the_operations_in_it():
    assert owners(TEXT)["both"] == pytest.approx({1: 2 / 3, 12: 1 / 3})


def test_an_instruction_belongs_to_the_scope_in_its_name():
    found = owners(TEXT)
    assert found["dot.7"] == {3: 1.0}
    assert found["r"] == {"records": 1.0}


def test_what_has_no_scope_belongs_to_no_block():
    assert owners(TEXT)["copy.2"] == {COPIES: 1.0}


def test_a_number_added_by_tensorflow_is_not_the_blocks():
    assert owner(f"while/{block_scope(1)}/add") == 1
    assert owner(f"while/{block_scope(1)}_2/add") == 1


SMALL = """\
HloModule small

%fused (p.0: f32[6]) -> f32[6] {
  %p.0 = f32[6]{0} parameter(0)
  ROOT %m.1 = f32[6]{0} multiply(%p.0, %p.0), metadata={op_name="while/block_1_end/mul"}
}

%taken (a: f32[6]) -> f32[6] {
  %a = f32[6]{0} parameter(0)
  ROOT %f.1 = f32[6]{0} fusion(%a), kind=kLoop, calls=%fused
}

%body (b: (s32[], f32[6], f32[6,5])) -> (s32[], f32[6], f32[6,5]) {
  %n = s32[] get-tuple-element(%b), index=0
  %w = f32[5,6]{1,0} get-tuple-element(%b), index=2
  %y = f32[6]{0} conditional(%n, %x), true_computation=%taken, false_computation=%taken
  %d = f32[5]{0} dot(%w, %y), metadata={op_name="while/block_2_end/dot"}
  %n.1 = s32[] add(%n, %n), metadata={op_name="while/body/add"}
}

%whole (b: (s32[], f32[6], f32[6,5])) -> (s32[], f32[6], f32[6,5]) {
  %w.1 = (s32[], f32[6]{0}, f32[6,5]{1,0}) while(%b), condition=%none, body=%body
}

ENTRY %main (x.0: f32[4]) -> f32[4] {
  %call = (s32[], f32[6]{0}, f32[6,5]{1,0}) call(%t), to_apply=%whole
}
"""


def test_a_loop_that_is_compiled_as_one_function_is_shared_by_the_work_in_it():
    # Two branches of 6 elements, a product of 30 and a counter.
    assert owners(SMALL)["call"] == pytest.approx({1: 12 / 43, 2: 30 / 43, CONTROL: 1 / 43})
