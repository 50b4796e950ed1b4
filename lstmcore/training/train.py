"""Training in one call: a loss, a validation part and metrics chosen by the kind of the target."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_array, check_known
from lstmcore.formatting import count
from lstmcore.losses import cross_entropy
from lstmcore.programs import compiled
from lstmcore.sequence import masked_steps
from lstmcore.series.frames import make_frame
from lstmcore.specs import knows_its_masks, parameters_of, takes_target
from lstmcore.training.fit import fit
from lstmcore.training.history import history_columns, history_html
from lstmcore.types import Trace

__all__ = ["Fitted", "train"]

AT_ONCE = 1024  # examples of one prediction that are computed together


@dataclass(frozen=True, repr=False, eq=False)
class Fitted:
    """A model with its trained params, from `train`.

    Attributes:
      model: the model.
      params: its trained params.
      history: {"loss": NumPy [epochs], "validation_loss": ...}, as of `lc.fit`.
      metrics: figures after training on the part that was trained on and, with the prefix
        "validation_", on the validation part: "loss", and for classes "accuracy".
      classes: whether the target was a class, an integer.
    """

    model: Any
    params: dict
    history: dict[str, np.ndarray]
    metrics: dict[str, float]
    classes: bool

    def outputs(self, x: Any, mask: Any = None) -> np.ndarray:
        """Return the outputs of the model, of classes the logits.

        It is compiled once for each shape: variables that functions inside of the model capture
        must not change.

        Args:
          x: [N, T, F], or what else the model reads, of any number of examples.
          mask: bool [N, T], True = real step.

        Returns:
          NumPy array [N, ...].

        Raises:
          ValueError: as the model's `apply`.
          TypeError: an encoder-decoder, whose sequences are decoded, or arguments of another kind.
        """
        if takes_target(self.model):
            raise TypeError(
                f"{type(self.model).__name__} decodes a sequence: use lc.greedy, lc.sample or "
                "lc.beam_search with its params"
            )
        x = _known_array("x", x)
        if hasattr(self.model, "check_input"):
            self.model.check_input(x)
        if mask is not None:
            mask = _known_array("mask", mask)
        parts = []
        for start in range(0, max(len(x), 1), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            of_part = None if mask is None else mask[rows]
            parts.append(np.asarray(_outputs(self.model, self.params, x[rows], of_part)))
        return np.concatenate(parts)

    def predict(self, x: Any, mask: Any = None) -> np.ndarray:
        """Return the likeliest class of each example [N] or step [N, T]; else the outputs.

        At masked steps stands what the model makes of the state that an LSTM carries through them,
        a class like any other: leave them out by the mask. Arguments and errors as in `outputs`.
        """
        outputs = self.outputs(x, mask)
        return outputs.argmax(axis=-1) if self.classes else outputs

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with one row for each epoch, as that of `lc.fit`; same errors."""
        return make_frame(history_columns(self.history), library)

    def __repr__(self) -> str:
        return f"Fitted({self.model!r}, {len(self.history['loss'])} epochs: {self._figures()})"

    def _repr_html_(self) -> str:
        return history_html("Fitted", self.history, self._figures(), repr(self.model))

    def _figures(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in self.metrics.items())


@compiled
def _outputs(model: Any, params: Any, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    return _applied(model, params, x, mask)[0]


@compiled
def _traces(model: Any, params: Any, x: jax.Array, mask: jax.Array | None) -> dict:
    return _applied(model, params, x, mask)[1]


def _applied(model: Any, params: Any, x: jax.Array, mask: jax.Array | None) -> tuple[Any, dict]:
    options = {} if mask is None else {"mask": mask}
    return model.apply(params, x, **options)


def train(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    mask: Any = None,
    validation: float | tuple = 0.1,
    epochs: int = 100,
    batch_size: int = 32,
    patience: int | None = 10,
    optimizer: Any = None,
    seed: int = 0,
    progress: bool = False,
) -> Fitted:
    """Train a model by the loss that fits its target; `lc.fit` is the way for any other loss.

    The target decides: integers are classes, trained by cross-entropy; other numbers by the mean
    squared error. Masked steps count in neither. A model with a `loss` of its own, such as
    `lc.Forecaster`, is trained by that. Classes are numbered from 0; one-hot rows are refused,
    since their squared error is seldom what is meant: write `y.argmax(axis=-1)`.

    Args:
      model: one of lstmcore's models, or your own with `init` and `apply`, of one input (but for
        `lc.Seq2Seq`) and one output.
      x: inputs [B, T, F], tokens [B, T], or whatever the model reads.
      y: the target: classes [B] or [B, T], numbers of the shape of the output, or the target
        sequence of an `lc.Seq2Seq`. None for x itself, as autoencoders are trained.
      mask: bool [B, T], True = real step of x.
      validation: fraction of the examples that is drawn at random and not trained on, or a pair
        (x, y) or triple (x, y, mask) of such examples; 0 for none.
      epochs: passes through the data, at most.
      batch_size: examples per step.
      patience: stop after this many epochs without a lower validation loss, and keep the params of
        the best; None trains to the end. Without validation it is not used.
      optimizer: from optax; None for Adam, as in `lc.fit`.
      seed: of the initial params, the order of the examples, dropout and the validation part.
      progress: show a bar.

    Returns:
      Fitted, with `predict`.

    Raises:
      ValueError: shapes that do not fit, a target that is missing or one-hot, or numbers that are
        NaN or infinite where they are not masked, unless the model copes with them.
      TypeError: not a model, or a target of texts or of another kind.
      NonFiniteLossError: as `lc.fit`.

    Warns:
      UserWarning: a model of your own masked steps by itself, and their target counts in the loss.

    Examples:
      >>> import numpy as np, lstmcore as lc
      >>> x = np.random.default_rng(0).normal(size=(200, 6, 1)).astype("float32")
      >>> y = (x.sum(axis=(1, 2)) > 0).astype(int)  # is the sum above 0?
      >>> model = lc.Chain([lc.chain.LSTM(8, last=True), lc.chain.Dense(2)], features=1)
      >>> trained = lc.train(model, x, y, epochs=60)
      >>> trained.predict(x[:3]).shape, trained.metrics["validation_accuracy"] > 0.8
      ((3,), True)
    """
    _check_model(model)
    key, init_key = jax.random.split(jax.random.key(checks.check_seed("seed", seed)))
    data, validated = _batch(model, x, y, mask), None
    if isinstance(validation, tuple | list):
        if len(validation) not in (2, 3):
            parts = len(validation)
            raise ValueError(f"validation must be (x, y) or (x, y, mask), got {parts} parts")
        validated = _batch(model, *validation)
    loss = model.loss if hasattr(model, "loss") else _Loss(model, _are_classes(data))
    params = model.init(init_key)
    if isinstance(loss, _Loss) and not takes_target(model):
        _check_outputs(loss, params, data, reconstructs=y is None)
        _warn_of_padding(model, params, data)
    _check_finite(loss, params, data, "x", "y")
    if validated is not None:
        _check_finite(loss, params, validated, "validation[0]", "validation[1]")
    elif validation:
        data, validated = _split(data, checks.check_number("validation", validation), seed)
    result = fit(
        loss,
        params,
        data,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        key=key,
        validation=validated,
        patience=None if validated is None else patience,
        progress=progress,
    )
    fitted = Fitted(model, result.params, result.history, {}, _are_classes(data))
    for prefix, part in (("", data), ("validation_", validated)):
        if part is not None:
            fitted.metrics.update(_metrics(fitted, loss, part, prefix))
    return fitted


def _check_model(model: Any) -> None:
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise TypeError(
            f"model must be a model such as lc.Chain([...]), got {type(model).__name__}: for any "
            "other function there is lc.fit"
        )


def _batch(model: Any, x: Any, y: Any = None, mask: Any = None) -> dict[str, Any]:
    """Return the arrays of `fit`: x, y, mask, and where y is real, y_mask; absent if everywhere."""
    x, given = _known_array("x", x), y is not None
    if hasattr(model, "check_input"):
        model.check_input(x)
    y = _target(y) if given else x
    if not given and not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError("y is missing: tokens cannot be reconstructed, pass their target")
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(f"x has {len(x)} examples but y has {len(y)}: they must agree")
    if mask is not None:
        if hasattr(model, "loss") or not (_takes(model, "mask") or _takes(model, "source_mask")):
            raise ValueError(f"mask was given, but the loss of {type(model).__name__} takes none")
        mask = checks.check_mask(_known_array("mask", mask), x.shape[0], x.shape[1])
    if hasattr(model, "loss"):
        _check_no_future(model)
        return {"x": x, "target": y}
    y_mask = _mask_of_target(model, x, y if given else None, mask)
    if y_mask is not None:  # what is masked may be NaN
        y_mask = np.asarray(y_mask)
        if not y_mask.any():
            raise ValueError("all steps are masked: there is nothing to train on")
        y = np.where(y_mask.reshape(y_mask.shape + (1,) * (y.ndim - 2)), y, 0)
    batch = {"x": x, "y": y, "mask": mask, "y_mask": y_mask}
    return {name: np.asarray(value) for name, value in batch.items() if value is not None}


def _known_array(name: str, value: Any) -> Any:
    check_known(name, value)
    value = as_array(name, value)
    checks.check_array(name, value)
    return value


def _target(y: Any) -> Any:
    """Return the target as an array of numbers; True and False are two classes."""
    texts = _holds_texts(y)
    y = y if texts else _known_array("y", y)
    kind = "U" if texts else np.dtype(y.dtype).kind
    if kind in "OSU":
        raise TypeError(
            f"y must hold numbers, got {'texts' if kind in 'SU' else y.dtype}: number the classes, "
            "for instance classes, y = np.unique(y, return_inverse=True)"
        )
    if kind not in "biufV":  # V: bfloat16
        raise TypeError(f"y must hold real numbers, got {y.dtype}")
    return y.astype(int) if y.dtype == bool else y


def _holds_texts(y: Any) -> bool:
    return isinstance(y, str) or (isinstance(y, list | tuple) and any(map(_holds_texts, y)))


def _mask_of_target(model: Any, x: Any, y: Any, mask: Any) -> Any:
    """Return where the target (None: x itself) is real, bool [B, T], or None if everywhere."""
    if y is None:
        return model.input_mask(x, mask) if hasattr(model, "input_mask") else mask
    if takes_target(model):
        known = model.masks(x, y, mask=mask) if hasattr(model, "masks") else {}
        return next(reversed(known.values()), None)
    if hasattr(model, "output_mask"):
        mask = model.output_mask(x, mask)
    elif hasattr(model, "masks"):
        mask = next(reversed(model.masks(x, mask=mask).values()), mask)
    in_time = y.ndim == (2 if jnp.issubdtype(y.dtype, jnp.integer) else 3)
    return mask if mask is not None and in_time and y.shape[:2] == mask.shape else None


def _warn_of_padding(model: Any, params: Any, data: dict) -> None:
    """Warn if a model of one's own masks steps by itself whose target counts in the loss."""
    y = data["y"]
    if knows_its_masks(model) or y.ndim < 2:
        return
    some = {name: values[:AT_ONCE] for name, values in data.items()}
    traces = _traces(model, params, some["x"], some.get("mask"))
    for layer, trace in traces.items():
        if not isinstance(trace, Trace) or trace.c.shape[:2] != some["y"].shape[:2]:
            continue
        skipped = np.asarray(masked_steps(trace)) & some.get("y_mask", True)
        if skipped.any():
            warnings.warn(
                f"layer {layer!r} was masked by the model itself at {int(skipped.sum())} of "
                f"{skipped.size} steps, which count in the loss: give {type(model).__name__} a "
                "method masks(x, mask=None), or pass mask= to lc.train",
                stacklevel=3,
            )
            return


def _check_no_future(model: Any) -> None:
    if _takes(model, "future") and getattr(model, "future_covariates", None):
        raise ValueError(
            f"{type(model).__name__} reads future covariates, for which lc.train has no argument: "
            'call lc.fit(model.loss, model.init(key), {"x": x, "target": y, "future": future}, ...)'
        )


def _is_one_hot(y: np.ndarray) -> bool:
    """Return whether the last axis of the target names one of several classes by a single 1."""
    if y.ndim < 2 or y.shape[-1] < 2 or y.size == 0:
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


def _check_finite(loss: Callable, params: Any, data: dict, x: str, y: str) -> None:
    """Raise if numbers of the arguments named x and y are NaN or infinite and the model minds.

    A model of one's own may replace what is missing by itself. It is asked by its loss, and the
    gradient, of the first example that is concerned.
    """
    for name, array in data.items():
        if np.dtype(array.dtype).kind not in "fV":  # V: bfloat16
            continue
        wrong = ~np.isfinite(np.asarray(array))
        if name == "x" and "mask" in data:
            wrong[~data["mask"]] = False
        if not wrong.any():
            continue
        first = np.argwhere(wrong)[0]
        example = {key: values[first[0] : first[0] + 1] for key, values in data.items()}
        results = jax.value_and_grad(loss)(params, jax.tree.map(jnp.asarray, example))
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results)):
            argument = x if name == "x" else y
            raise ValueError(
                f"{argument} is NaN or infinite at {count(int(wrong.sum()), 'place')}, the first "
                f"{argument}{first.tolist()}: fill them in, leave these examples out, or mask "
                "steps without data by mask="
            )


def _split(data: dict, fraction: float, seed: int) -> tuple[dict, dict | None]:
    """Return (training part, validation part), drawn at random."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation must be a fraction, from 0 to below 1, got {fraction}")
    examples = len(data["x"])
    if (held_out := min(round(examples * fraction), examples - 1)) <= 0:
        return data, None
    order = np.random.default_rng(seed).permutation(examples)
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    first, second = ({name: array[rows] for name, array in data.items()} for rows in parts)
    return first, second


def _takes(model: Any, option: str) -> bool:
    return option in parameters_of(model)


def _are_classes(data: dict) -> bool:
    return "y" in data and jnp.issubdtype(data["y"].dtype, jnp.integer)


@dataclass(frozen=True)
class _Loss:
    """The loss (params, batch, key=None) of a model: a value, so that `fit` compiles it once.

    Attributes:
      model: the model.
      classes: whether the target is a class: cross-entropy, else the mean squared error.
    """

    model: Any
    classes: bool

    def __call__(self, params: Any, batch: dict, key: Any = None) -> jax.Array:
        outputs, y, mask = self.outputs(params, batch, key), batch["y"], batch.get("y_mask")
        if self.classes:
            return _class_loss(outputs, y, mask)
        return _squared_error(outputs, y, mask)

    def outputs(self, params: Any, batch: dict, key: Any = None) -> jax.Array:
        """Return the outputs, of classes the logits."""
        options = {"key": key} if _takes(self.model, "key") else {}
        inputs, mask = [batch["x"]], batch.get("mask")
        if takes_target(self.model):
            inputs.append(batch["y"])
        if mask is not None:
            options["source_mask" if takes_target(self.model) else "mask"] = mask
        outputs, _ = self.model.apply(params, *inputs, **options)
        if self.classes and getattr(self.model, "gives_probabilities", False):
            outputs = jnp.log(jnp.maximum(outputs, jnp.finfo(outputs.dtype).tiny))
        return outputs


def _check_outputs(loss: _Loss, params: Any, data: dict, reconstructs: bool) -> None:
    """Raise unless the model has one output that fits y, with a number for each class."""
    outputs = jax.eval_shape(loss.outputs, params, data)
    y = np.asarray(data["y"])
    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"{type(loss.model).__name__} has several outputs, whose losses must be weighed "
            "against one another: write that loss and call lc.fit"
        )
    real = y[data["y_mask"]] if "y_mask" in data else y
    if outputs.shape == y.shape and not reconstructs and _is_one_hot(real):
        raise ValueError(
            f"y {y.shape} is one-hot, which is the class of each row: number the classes, "
            "y.argmax(axis=-1), to train by cross-entropy; for any other loss call lc.fit"
        )
    if not loss.classes:
        if outputs.shape != y.shape:
            advice = " (classes are whole numbers: y.astype(int))" * (outputs.ndim == y.ndim + 1)
            raise ValueError(
                f"the model's output has shape {outputs.shape} but y {y.shape}: they must agree"
                + advice
            )
        return
    if outputs.shape[:-1] != y.shape:
        if outputs.ndim > y.ndim:
            advice = (
                "for one class per sequence hand on the last state: lc.chain.LSTM(8, last=True)"
            )
        elif outputs.shape[:-1] == y.shape[:-1] and y.shape[-1] == 1:
            advice = "for classes write y[..., 0], for a regression y.astype('float32')"
        else:
            advice = "for a regression write y.astype('float32')"
        raise ValueError(
            f"y holds classes of shape {y.shape} but the model's output has shape {outputs.shape}, "
            f"which needs {outputs.shape[:-1]}: {advice}"
        )
    most = outputs.shape[-1]
    if most < 2:
        raise ValueError("classes need one output each, at least two: such as lc.chain.Dense(2)")
    outside = y[(y < 0) | (y >= most)]
    if outside.size:
        raise ValueError(
            f"y holds the class {outside[0]}, but the model has {most} outputs, for the classes 0 "
            f"to {most - 1}"
        )


def _class_loss(logits: jax.Array, y: jax.Array, mask: Any) -> jax.Array:
    if y.ndim == 1:
        return cross_entropy(logits[:, None], y[:, None])
    return cross_entropy(logits, y, mask)


def _squared_error(outputs: jax.Array, y: jax.Array, mask: Any) -> jax.Array:
    errors = outputs - jnp.asarray(y, outputs.dtype)
    if mask is None:
        return (errors**2).mean()
    errors = jnp.where(mask.reshape(mask.shape + (1,) * (errors.ndim - 2)), errors, 0)
    numbers = mask.sum() * (errors.size // max(mask.size, 1))
    return (errors**2).sum() / jnp.maximum(numbers, 1).astype(errors.dtype)


def _metrics(fitted: Fitted, loss: Callable, part: dict, prefix: str) -> dict[str, float]:
    """Return the loss, and for classes the fraction that the model finds."""
    measured = {f"{prefix}loss": float(_measured(loss, fitted.params, part))}
    if not fitted.classes or takes_target(fitted.model):
        return measured
    right = fitted.predict(part["x"], part.get("mask")) == part["y"]
    right = right[part["y_mask"]] if "y_mask" in part else right
    measured[f"{prefix}accuracy"] = float(right.mean()) if right.size else float("nan")
    return measured


@compiled
def _measured(loss: Callable, params: Any, part: dict) -> jax.Array:
    return loss(params, part)
