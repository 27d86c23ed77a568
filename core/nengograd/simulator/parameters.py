"""Methods of a simulator for its parameters and its state, and for files of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from .activity import Activity
from .moving import Moving

if TYPE_CHECKING:  # what reads and writes files is imported where it is called
    from ..training.named_weights import Weight
    from ..training.saved import Loaded
    from .state import SimulationState

__all__ = ["ParameterMethods"]


class ParameterMethods(Moving):
    """The state and the parameters of `nengograd.Simulator`: kept, saved, shown, written back."""

    @property
    def state(self) -> SimulationState:
        """The state of the simulation, to keep or to save; assigning one goes on from there.

        After ``state = sim.state; sim.run(1); sim.state = state`` the simulation is where it was. A
        state that does not fit is an error, and nothing has changed then. Probe data begins anew.
        Parameters, which training changes, stay as they are.
        """
        self._check_open("give its state")
        from .state import get_state

        self._take_writes()
        with Activity(self._activities, "give its state"):
            return get_state(self, self._parts)

    @state.setter
    def state(self, state: SimulationState) -> None:
        self.set_state(state, include_probes=True)

    def set_state(self, state: SimulationState, include_probes: bool = False) -> None:
        """Go on from a state, as ``sim.state = state`` does.

        Parameters
        ----------
        state : SimulationState
            Such as `state` has been, here or in another simulator of the same network.
        include_probes : bool
            Whether to forget all probe data, too.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the state does not fit. Nothing has changed then.
        """
        check_arguments("Simulator.set_state", locals())
        self._check_open("go on from a state")
        from .state import set_state

        self._take_writes()
        with Activity(self._activities, "go on from a state"):
            set_state(self, self._parts, state, include_probes)
        self._signals.refresh()

    def save_params(
        self,
        path: str | os.PathLike[str],
        *,
        state: bool = False,
        include_optimizer: bool = False,
        allow_nonfinite: bool = False,
    ) -> None:
        """Write parameters of the model, and initial values of its states, into an ``.npz`` file.

        These are encoders, gains, biases, decoders and weights, also of layers, trainable or not,
        and what states hold before the first step; not the output of constant nodes. Names follow
        the structure of the network, so the file fits another simulator of the same network,
        whatever its seed. With the setting ``keep_learned_weights`` it holds weights as online
        learning rules have left them, unless the items of a minibatch have learned others. It holds
        no pickles. An old file is replaced in one go, or stays whole.

        Parameters
        ----------
        path : str or path
            ``.npz`` is added where it is missing.
        state : bool
            Whether to write the state of the simulation, too, so that a run goes on to the bit
            in another process: states, weights learned online, the number of the step, random
            generators. What Python functions keep for themselves is not part of it.
        include_optimizer : bool
            Whether to write the optimizer of the last training, too: its slots, such as momenta
            and the number of its steps, and the number of epochs. As in ``save_weights`` of Keras,
            it is left out unless it is asked for.
        allow_nonfinite : bool
            Whether to write NaN and infinities.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the file cannot be written, or a value is not finite, or there is no optimizer to
            write, or the backend cannot tell its slots. The old file is whole then.
        """
        check_arguments("Simulator.save_params", locals())
        from .checkpoint import save_file

        self._take_writes()
        with Activity(self._activities, "save parameters"):
            save_file(
                self,
                self._parts,
                path,
                state=state,
                include_optimizer=include_optimizer,
                allow_nonfinite=allow_nonfinite,
            )

    def load_params(
        self,
        path: str | os.PathLike[str],
        *,
        state: bool = False,
        include_optimizer: bool = False,
        include_neurons: bool = True,
        partial: bool = False,
        allow_nonfinite: bool = False,
    ) -> Loaded:
        """Take over what `save_params` has written.

        A simulation in progress goes on with it; before the first step, and after the next
        `Simulator.soft_reset`, states begin as the file says. `Simulator.reset` forgets it all.
        Weights that an online learning rule has changed meanwhile stay as they are until the next
        reset; with the setting ``keep_learned_weights`` they are those of the file.

        Parameters
        ----------
        path : str or path
            With or without ``.npz``.
        state : bool
            Whether to go on with the state of the simulation that was saved. Probe data begins
            anew then.
        include_optimizer : bool
            Whether the next training goes on with the slots that were saved, and with the number
            of epochs. It has to be on the same backend with the same optimizer, or is refused. The
            losses are then those of a training that was never interrupted, with the same seed, or
            with ``state=True``, which takes the seed over. Of an optimizer of optax its kind is
            compared and not its learning rate, which optax does not tell.
        include_neurons : bool
            Whether to take gains of ensembles, and what neurons hold before the first step. Without
            them a network of spiking neurons goes on with the parameters of one of rates, whatever
            the firing rates of the two are scaled by: gains and states stay as they are.
        partial : bool
            Whether to take what both have, where the file or the network has more; what the file
            lacks stays as it is.
        allow_nonfinite : bool
            Whether to take NaN and infinities.

        Returns
        -------
        loaded : Loaded
            Names of what was taken, missing, and not used; prints as text.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is no such file, it is damaged, or does not fit: with all missing, extra and
            misshapen names. Nothing has changed then.
        """
        self._check_open("load parameters")
        check_arguments("Simulator.load_params", locals())
        if state and not include_neurons:
            raise ValidationError(
                "a state has that of the neurons: leave state=True or include_neurons=False out",
                attr="include_neurons",
            )
        from .checkpoint import load_file

        self._take_writes()
        with Activity(self._activities, "load parameters"):
            loaded = load_file(
                self,
                self._parts,
                path,
                state=state,
                include_optimizer=include_optimizer,
                include_neurons=include_neurons,
                partial=partial,
                allow_nonfinite=allow_nonfinite,
            )
            if not state:
                self._go_on_with_first()
        self._signals.refresh()
        return loaded

    @property
    def weights(self) -> list[Weight]:
        """The parameters of all objects as they are now, trainable or not, as of a Keras model.

        Scaled encoders ``(n_neurons, dimensions)`` and biases ``(n_neurons,)`` of each ensemble,
        then weights of connections, then weights of layers in nodes, each in the order of the
        network. Each has a ``name``, a ``shape`` and ``numpy()``, its value.
        """
        from ..training.named_weights import weights  # a run does without

        return weights(self.model, self.data)

    def get_weights(self) -> list[NDArray[Any]]:
        """The values of `weights`, as arrays."""
        return [weight.value for weight in self.weights]

    def count_params(self) -> int:
        """The number of elements of all `weights`, as of a Keras model."""
        return sum(weight.value.size for weight in self.weights)

    def print_params(self, msg: str | None = None) -> None:
        """Print names, shapes and ranges of the trainable parameters.

        Parameters
        ----------
        msg : str, optional
            A line to print before them.
        """
        check_arguments("Simulator.print_params", locals())
        self._take_writes()
        if msg is not None:
            print(msg)
        print(self._learning.table())

    def freeze_params(
        self, objects: Any = None, learned: bool | None = None, item: int | None = None
    ) -> None:
        """Write the current parameters into the network, in place; see `nengograd.freeze`.

        Parameters
        ----------
        objects, learned, item
            See `nengograd.freeze`.
        """
        check_arguments("Simulator.freeze_params", locals())
        from ..export import freeze  # a run does without

        freeze(self, objects, learned, item)

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the network as a table: its layers, their shapes, how many parameters they have.

        Layers are ensembles, tensor nodes and connections, in the order of the network. The shape
        is that of what comes out in each step. Parameters of an ensemble are its encoders and
        biases, of a tensor node the weights of its layer, of a connection its decoders or weights.

        Parameters
        ----------
        print_fn : callable, optional
            What to call with the text instead of `print`.
        """
        check_arguments("Simulator.summary", locals())
        from ..training.summary import layers, summary

        size = self.options.minibatch_size
        batch = "" if size is None else f", a minibatch of {size}"
        label = getattr(self.model.toplevel, "label", None) or "network"
        title = f"{label}, on {self.backend}, {self.options.dtype.name}{batch}"
        trainable = {parameter.signal for parameter in self._learning.parameters}
        text = summary(title, layers(self.model), trainable)
        (print if print_fn is None else print_fn)(text)
