"""One LSTM node of ONNX as a model: every attribute of the operator, every gate visible.

Two conventions, where ONNX and lstmcore differ or the specification is silent:

- After the end of a sequence the output is 0, as onnxruntime has it. The trace carries h and c on.
- A sequence of length 0 ends in its initial state, as in Keras and PyTorch. The specification is
  silent, and onnxruntime returns Y_h = 0.

https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.interop.onnx.activations import activation_of, spelled
from lstmcore.interop.onnx.weights import node_params
from lstmcore.models.stack import Edits, States, check_edits, not_called, set_plain, summary_html
from lstmcore.specs import Layer, check_params, direction_names
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace

if TYPE_CHECKING:
    import jax

__all__ = ["OnnxLSTM", "from_onnx_node"]

DIRECTIONS = ("forward", "reverse", "bidirectional")
ATTRIBUTES = {  # of LSTM-7 to LSTM-22: their values if they are not given
    "activation_alpha": (),
    "activation_beta": (),
    "activations": None,
    "clip": None,
    "direction": "forward",
    "hidden_size": None,
    "input_forget": 0,
    "layout": 0,
}
THREE = (("Sigmoid", ()), ("Tanh", ()), ("Tanh", ()))  # of the gates, the candidate, the output


@dataclass(frozen=True, repr=False)
class OnnxLSTM:
    """An LSTM node of ONNX; layer "lstm_0", of two directions "lstm_0_forward", "lstm_0_backward".

    Attributes:
      features: F.
      units: H.
      direction: "forward", "reverse" or "bidirectional".
      activations: (name, constants) of the gates, the candidate and the output of each direction,
        as `activations.spelled` returns them; None for Sigmoid, Tanh, Tanh.
      clip: the activations are applied to numbers limited to [-clip, clip]; None for no limit.
      input_forget: couple the gates, f = 1 - i.
      peephole: let the gates see the cell.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> model = OnnxLSTM(features=2, units=3, direction="bidirectional", clip=5.0)
      >>> y, traces = model.apply(model.init(jax.random.key(0)), jnp.ones((4, 7, 2)))
      >>> y.shape, list(traces)
      ((4, 7, 6), ['lstm_0_forward', 'lstm_0_backward'])
    """

    features: int
    units: int
    direction: str = "forward"
    activations: tuple[tuple[str, tuple[float, ...]], ...] | None = None
    clip: float | None = None
    input_forget: bool = False
    peephole: bool = False

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        checks.check_choice("direction", self.direction, DIRECTIONS)
        set_plain(
            self,
            features=checks.check_count("features", self.features),
            units=checks.check_count("units", self.units),
            input_forget=bool(self.input_forget),
            peephole=bool(self.peephole),
        )
        if self.clip is not None:
            if not (clip := checks.check_number("clip", self.clip)) > 0:
                raise ValueError(f"clip must be above 0, got {clip}")
            set_plain(self, clip=clip)
        if self.activations is not None:
            if len(self.activations) != (count := 3 * len(self._names())):
                raise ValueError(
                    f"activations must be {count}, three to a direction (of the gates, of the "
                    f"candidate, of the output), got {len(self.activations)}"
                )
            plain = tuple((name, tuple(each)) for name, each in self.activations)
            set_plain(self, activations=plain)

    def _names(self) -> list[str]:
        return direction_names("lstm_0") if self.direction == "bidirectional" else ["lstm_0"]

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer} of its one or two directions."""
        layer = Layer(LSTMParams, self.features, self.units, peephole=self.peephole)
        return dict.fromkeys(self._names(), layer)

    @property
    def causal(self) -> bool:
        """Return whether the output at a step depends on no later one."""
        return self.direction == "forward"

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm`."""
        return lc.init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        states: States = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the node.

        Args:
          params: {name: LSTMParams}.
          x: [B, T, F].
          mask: bool [B, T], True = real step; `lc.length_mask` makes one of sequence_lens.
          edits: by the name of the layer, the `edit` of `lc.lstm`; it sees coupled gates.
          states: LSTMState to start from, by the name of the layer; others start from zeros.
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (output [B, T, D H], both directions side by side and 0 where masked; Trace by layer).

        Raises:
          ValueError, TypeError: as `lc.lstm`, and unknown names in `edits` or `states`.
        """
        traces = self._run(params, x, mask, edits, states, ops)[1]
        outputs = [traces[name].h for name in traces]
        if mask is not None:
            outputs = [ops.np.where(ops.np.asarray(mask)[:, :, None], h, 0) for h in outputs]
        return ops.np.concatenate(outputs, axis=-1), traces

    def outputs(
        self,
        params: dict,
        X: Any,
        sequence_lens: Any = None,
        initial_h: Any = None,
        initial_c: Any = None,
        *,
        layout: int = 0,
        ops: Any = lc.ops,
    ) -> tuple[Any, Any, Any]:
        """Return what the node returns, from the inputs of the node, in the layout of ONNX.

        Args:
          params: {name: LSTMParams}.
          X: [T, B, F]; with layout=1 [B, T, F].
          sequence_lens: integers [B], or None.
          initial_h, initial_c: [D, B, H], or None for zeros; with layout=1 [B, D, H].
          layout: 0 or 1.
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (Y [T, D, B, H], Y_h [D, B, H], Y_c [D, B, H]); with layout=1 (Y [B, T, D, H],
          Y_h [B, D, H], Y_c [B, D, H]).

        Raises:
          ValueError, TypeError: as `apply`.
        """
        checks.check_choice("layout", layout, (0, 1))
        np, axis = ops.np, layout
        x = np.asarray(X) if layout else np.swapaxes(np.asarray(X), 0, 1)
        mask = None if sequence_lens is None else ops.length_mask(sequence_lens, x.shape[1])
        zeros = np.zeros((x.shape[0], self.units), x.dtype)
        h, c = (
            [zeros] * len(self._names()) if state is None else list(np.moveaxis(state, axis, 0))
            for state in (initial_h, initial_c)
        )
        states = dict(zip(self._names(), map(LSTMState, h, c), strict=True))
        finals, traces = self._run(params, x, mask, None, states, ops)
        steps = [trace.h for trace in traces.values()]
        if mask is not None:
            steps = [np.where(mask[:, :, None], h, 0) for h in steps]
        y = np.stack(steps, axis=2)  # [B, T, D, H]
        y = y if layout else y.transpose(1, 2, 0, 3)
        return y, *(np.stack(each, axis=axis) for each in zip(*finals, strict=True))

    def masks(self, x: jax.Array, *, mask: jax.Array | None = None) -> dict[str, Any]:
        """Return where the steps of each layer are real, bool [B, T], or None if all are."""
        return dict.fromkeys(self._names(), mask)

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`."""
        return [(name, "LSTM", (None, timesteps, self.units)) for name in self._names()]

    def _run(
        self, params: dict, x: Any, mask: Any, edits: Edits, states: States, ops: Any
    ) -> tuple[list[LSTMState], dict[str, Trace]]:
        params = check_params(params, self.layers)
        check_edits(edits, self.layers)
        check_edits(states, self.layers, "states")
        finals, traces = [], {}
        for place, name in enumerate(self._names()):
            of_gates, of_candidate, of_output = (self.activations or 2 * THREE)[3 * place :][:3]
            final, traces[name] = ops.lstm(
                params[name],
                x,
                (states or {}).get(name),
                mask=mask,
                reverse=self.direction == "reverse" or place == 1,
                recurrent_activation=activation_of(*of_gates, self.clip),
                activation=activation_of(*of_candidate, self.clip),
                output_activation=activation_of(*of_output),
                edit=self._edit((edits or {}).get(name)),
            )
            finals.append(final)
        return finals, traces

    def _edit(self, edit: Callable | None) -> Callable | None:
        """Return an edit that couples the gates first, where they are coupled."""
        if not self.input_forget:
            return edit

        def coupled(gates: Gates, t: Any) -> Gates:
            gates = gates._replace(forget=1 - gates.input)
            return gates if edit is None else edit(gates, t)

        return coupled


def from_onnx_node(
    attributes: Mapping[str, Any],
    W: Any,
    R: Any,
    B: Any = None,
    P: Any = None,
) -> tuple[OnnxLSTM, dict[str, LSTMParams]]:
    """Return an LSTM node as a model and its weights.

    Args:
      attributes: of the node, by name, such as {"hidden_size": 3, "direction": "reverse"}. Its
        layout is that of its inputs, which the model does not have: see `OnnxLSTM.outputs`.
      W, R, B, P: its weights, as in `from_onnx`.

    Raises:
      ValueError: unknown attributes, activations or directions, or weights that do not fit.

    Examples:
      >>> import numpy as np
      >>> W, R = np.ones((1, 12, 2)), np.ones((1, 12, 3))
      >>> model, params = from_onnx_node({"hidden_size": 3, "direction": "reverse"}, W, R)
      >>> model
      OnnxLSTM(features=2, units=3, direction='reverse')
    """
    return node_model("the LSTM node", attributes, W, R, B, P)


def node_model(
    where: str, attributes: Mapping[str, Any], W: Any, R: Any, B: Any, P: Any
) -> tuple[OnnxLSTM, dict[str, LSTMParams]]:
    """Return what `from_onnx_node` does; `where` is the node and its file, for messages."""
    for name in attributes:
        if name not in ATTRIBUTES:
            raise ValueError(
                f"{where}: the attribute {name!r} is not known: an LSTM has {', '.join(ATTRIBUTES)}"
            )
    given = ATTRIBUTES | dict(attributes)
    weights = node_params(where, W, R, B, P)
    units = weights[0].recurrent_kernel.shape[0]
    if given["hidden_size"] not in (None, units):
        raise ValueError(f"{where}: hidden_size is {given['hidden_size']}, but R has {units} units")
    try:
        checks.check_choice("layout", given["layout"], (0, 1))
        names = given["activations"]
        activations = None
        if names:
            activations = spelled(names, given["activation_alpha"], given["activation_beta"])
        model = OnnxLSTM(
            weights[0].kernel.shape[0],
            units,
            given["direction"],
            activations,
            given["clip"] or None,  # 0 is no limit, as for onnxruntime
            given["input_forget"],
            P is not None,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    if len(model.layers) != len(weights):
        raise ValueError(
            f"{where}: direction {model.direction!r} needs weights of {len(model.layers)} "
            f"direction(s), got {len(weights)}"
        )
    return model, dict(zip(model.layers, weights, strict=True))
