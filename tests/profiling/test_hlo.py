"""Which blocks the instructions of a compiled program belong to."""

import pytest

pytest.importorskip("tensorflow")
from nengograd_xla.hlo import COPIES, block_scope, owner, owners

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
