"""Optimizers of Keras in the form that those of optax have."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import optax
from nengo.exceptions import ValidationError

from nengograd_xla.keras_process import check_keras

__all__ = ["transformation"]


def transformation(optimizer: Any) -> optax.GradientTransformation:
    """An optimizer of Keras as one of optax.

    Its variables, such as the learning rate and the number of iterations, are the state: the
    optimizer itself stays as it is, but that it is built.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        One that has not been used.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it has been, or if Keras computes with something else.
    """
    check_keras("jax")
    if optimizer.built:
        raise ValidationError(
            f"{optimizer.name} holds the slots of another simulator or model; make a new one",
            attr="optimizer",
        )

    def init(parameters: Any) -> Any:
        leaves = jax.tree.leaves(parameters)
        if any(leaf.dtype == jnp.float64 for leaf in leaves):
            raise ValidationError(
                f"{optimizer.name} is one of Keras, which on JAX rounds all it computes to "
                "float32: use one of optax, or give the simulator dtype='float32'",
                attr="optimizer",
            )
        optimizer.build([keras.Variable(leaf, dtype="float32") for leaf in leaves])
        return [jnp.asarray(variable.value) for variable in optimizer.variables]

    def update(gradients: Any, state: Any, parameters: Any = None) -> Any:
        values, structure = jax.tree.flatten(parameters)
        # An optimizer divides by the factor that it wants losses to be multiplied with.
        scaled = [optimizer.scale_loss(g) for g in jax.tree.leaves(gradients)]
        after, slots = optimizer.stateless_apply(state, scaled, values)
        changes = [new - old for new, old in zip(after, values, strict=True)]
        return jax.tree.unflatten(structure, changes), list(slots)

    return optax.GradientTransformation(init, update)
