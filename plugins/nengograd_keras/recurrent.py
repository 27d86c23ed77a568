"""Recurrent layers of Keras, which go on from step to step as tensor nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from nengograd.plugin.model_reader import over_time

from .steps import layer_of_step

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["RECURRENT"]


@over_time
def convert_recurrent(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A layer that keeps its state, with one step of its sequence in each of the simulation."""
    x = inputs[0]
    if not x.has_time:
        return to.fallback("it is recurrent (with temporal=True it takes a step at a time)")
    if layer.go_backwards or layer.return_state or len(inputs) > 1:
        raise ValidationError(
            f"{to.call.name!r} cannot run step by step: it goes backwards, has a mask, or takes "
            "or returns states",
            attr="temporal",
        )
    changes = {"stateful": True, "return_sequences": False, "name": f"{layer.name}_step"}
    one = layer_of_step(layer, (1, *x.shape), to, **changes)
    to.reasons.append("it is recurrent, and goes on from step to step")
    return to.tensor_node(one, to.same(x, (1, *x.shape)), to.call.shapes[0][-1:])


RECURRENT = dict.fromkeys(("SimpleRNN", "GRU", "LSTM"), convert_recurrent)
