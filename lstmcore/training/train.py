"""Training in one call: a loss, a validation part and metrics chosen by the kind of the target."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.losses import cross_entropy
from lstmcore.programs import compiled
from lstmcore.training.fit import fit
from lstmcore.vocabulary import PADDING

__all__ = ["Trained", "train"]

AT_ONCE = 1024  # examples of one prediction that are computed together


@dataclass(frozen=True, repr=False, eq=False)
class Trained:
    """A model with its trained params.

    Attributes:
      model: the model.
      params: its trained params.
      history: {"loss": NumPy [epochs], "validation_loss": ...}, as of `lc.fit`.
      metrics: figures after training on the part that was trained on and, with the prefix
        "validation_", on the part held out: "loss", and for classes "accuracy".
      classes: whether the target was a class, an integer.
    """

    model: Any
    params: dict
    history: dict[str, np.ndarray]
    metrics: dict[str, float]
    classes: bool

    def outputs(self, x: Any, mask: Any = None) -> np.ndarray:
        """Return the outputs of the model, of classes the logits; raises as its `apply`."""
        x = checks.as_array("x", x)
        parts = []
        for start in range(0, max(len(x), 1), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            of_part = None if mask is None else mask[rows]
            parts.append(np.asarray(_outputs(self.model, self.params, x[rows], of_part)))
        return np.concatenate(parts)

    def predict(self, x: Any, mask: Any = None) -> np.ndarray:
        """Return the likeliest class, of each example or step; without classes, the outputs."""
        outputs = self.outputs(x, mask)
        return outputs.argmax(axis=-1) if self.classes else outputs

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in self.metrics.items())
        return f"Trained({self.model!r}, {len(self.history['loss'])} epochs: {figures})"


@compiled
def _outputs(model: Any, params: Any, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    options = {} if mask is None else {"mask": mask}
    return model.apply(params, x, **options)[0]


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
) -> Trained:
    """Train a model by the loss that fits its target; `lc.fit` is the way for any other loss.

    The target decides: integers are classes, trained by cross-entropy; other numbers by the mean
    squared error. Masked steps count in neither. A model with a `loss` of its own, such as
    `lc.Forecaster`, is trained by that.

    Args:
      model: one of lstmcore's models, or your own with `init` and `apply`, of one input (but for
        `lc.Seq2Seq`) and one output.
      x: inputs [B, T, F], tokens [B, T], or whatever the model reads.
      y: the target: classes [B] or [B, T], numbers of the shape of the output, or the target
        sequence of an `lc.Seq2Seq`. None for x itself, as autoencoders are trained.
      mask: bool [B, T], True = real step of x.
      validation: fraction of the examples that are held out at random and not trained on, or a pair
        (x, y) or triple (x, y, mask) of such examples; 0 for none.
      epochs: passes through the data, at most.
      batch_size: examples per step.
      patience: stop after this many epochs without a lower validation loss, and keep the params of
        the best; None trains to the end. Without validation it is not used.
      optimizer: from optax; None for Adam, as in `lc.fit`.
      seed: of the initial params, the order of the examples, dropout and the validation part.
      progress: show a bar.

    Returns:
      Trained, with `predict`.

    Raises:
      ValueError: shapes that do not fit, or a target that is missing.
      TypeError: not a model.
      NonFiniteLossError: as `lc.fit`.

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
    seed = checks.check_seed("seed", seed)
    x = checks.as_array("x", x)
    data = _batch(model, x, y, mask)
    held_out = None
    if isinstance(validation, tuple | list):
        if len(validation) not in (2, 3):
            raise ValueError(
                f"validation must be (x, y) or (x, y, mask), got {len(validation)} parts"
            )
        held_out = _batch(model, *validation)
    elif validation:
        data, held_out = _split(data, checks.check_number("validation", validation), seed)
    key = jax.random.key(seed)
    loss = _loss_of(model, data)
    params = model.init(key)
    classes = _are_classes(model, data)
    if not (hasattr(model, "loss") or _needs_target(model)):
        _check_outputs(model, params, data, classes)
    result = fit(
        loss,
        params,
        data,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        key=key,
        validation=held_out,
        patience=None if held_out is None else patience,
        progress=progress,
    )
    trained = Trained(model, result.params, result.history, {}, classes)
    for prefix, part in (("", data), ("validation_", held_out)):
        if part is not None:
            trained.metrics.update(_metrics(trained, loss, part, prefix))
    return trained


def _check_model(model: Any) -> None:
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise TypeError(
            f"model must be a model such as lc.Chain([...]), got {type(model).__name__}: for any "
            "other function there is lc.fit"
        )


def _batch(model: Any, x: Any, y: Any = None, mask: Any = None) -> dict[str, Any]:
    """Return the arrays of `fit`, checked against one another."""
    x, y = checks.as_array("x", x), checks.as_array("y", y)
    checks.check_array("x", x)
    if y is None:
        if not str(x.dtype).startswith(("float", "bfloat")):
            raise ValueError("y is missing: tokens cannot be reconstructed, pass their target")
        y = x
    checks.check_array("y", y)
    if y.dtype == bool:
        y = y.astype(int)  # two classes
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(f"x has {len(x)} examples but y has {len(y)}: they must agree")
    batch = {"x": x, ("target" if hasattr(model, "loss") else "y"): y}
    if mask is not None:
        if hasattr(model, "loss") or not (_takes(model, "mask") or _takes(model, "source_mask")):
            raise ValueError(f"mask was given, but the loss of {type(model).__name__} takes none")
        checks.check_mask(mask, x.shape[0], x.shape[1])
        batch["mask"] = np.asarray(mask)
    return batch


def _split(data: dict, fraction: float, seed: int) -> tuple[dict, dict | None]:
    """Return (training part, validation part), drawn at random."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation must be a fraction, from 0 to below 1, got {fraction}")
    examples = len(data["x"])
    if (held_out := round(examples * fraction)) == 0:
        return data, None
    order = np.random.default_rng(seed).permutation(examples)
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    first, second = ({name: array[rows] for name, array in data.items()} for rows in parts)
    return first, second


def _takes(model: Any, option: str) -> bool:
    return option in inspect.signature(model.apply).parameters


def _needs_target(model: Any) -> bool:
    target = inspect.signature(model.apply).parameters.get("target")
    return target is not None and target.default is inspect.Parameter.empty


def _are_classes(model: Any, data: dict) -> bool:
    y = data.get("y")
    return y is not None and str(y.dtype).startswith(("int", "uint"))


def _check_outputs(model: Any, params: Any, data: dict, classes: bool) -> None:
    """Raise unless the model has one output, and in it a number for each class."""
    outputs = jax.eval_shape(lambda params, x: model.apply(params, x)[0], params, data["x"][:1])
    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"{type(model).__name__} has several outputs, whose losses must be weighed against one "
            "another: write that loss and call lc.fit"
        )
    if not classes:
        return
    y, most = np.asarray(data["y"]), outputs.shape[-1]
    outside = y[(y < 0) | (y >= most)]
    if outside.size:
        raise ValueError(
            f"y holds the class {outside[0]}, but the model has {most} outputs, for the classes 0 "
            f"to {most - 1}"
        )


def _loss_of(model: Any, data: dict) -> Callable:
    """Return the loss (params, batch, key=None) of a model on such data."""
    if hasattr(model, "loss"):
        return model.loss
    measure = _class_loss if _are_classes(model, data) else _squared_error

    def loss(params: Any, batch: dict, key: Any = None) -> jax.Array:
        options = {"key": key} if _takes(model, "key") else {}
        y, mask = batch["y"], batch.get("mask")
        if _needs_target(model):
            outputs, _ = model.apply(params, batch["x"], y, source_mask=mask, **options)
            mask = y != PADDING if _are_classes(model, batch) else None
        else:
            if mask is not None:
                options["mask"] = mask
            outputs, _ = model.apply(params, batch["x"], **options)
            mask = _mask_of_outputs(model, batch["x"], mask, y)
        if getattr(model, "gives_probabilities", False):
            outputs = jnp.log(jnp.maximum(outputs, jnp.finfo(outputs.dtype).tiny))
        return measure(outputs, y, mask)

    return loss


def _mask_of_outputs(model: Any, x: Any, mask: Any, y: Any) -> Any:
    """Return where the target is real, bool [B, T], or None if it has no steps of x."""
    if hasattr(model, "masks"):
        mask = next(reversed(model.masks(x, mask=mask).values()), mask)
    in_time = y.ndim == (2 if str(y.dtype).startswith(("int", "uint")) else 3)
    return mask if mask is not None and in_time and y.shape[:2] == mask.shape else None


def _class_loss(logits: jax.Array, y: jax.Array, mask: Any) -> jax.Array:
    if logits.ndim != y.ndim + 1:
        raise ValueError(
            f"the model's output has shape {logits.shape} but y, classes, {y.shape}: for one class "
            "per sequence hand on the last state (lc.chain.LSTM(units, last=True)), for one per "
            "step every step"
        )
    if y.ndim == 1:
        return cross_entropy(logits[:, None], y[:, None])
    return cross_entropy(logits, y, mask)


def _squared_error(outputs: jax.Array, y: jax.Array, mask: Any) -> jax.Array:
    if outputs.shape != y.shape:
        raise ValueError(
            f"the model's output has shape {outputs.shape} but y {y.shape}: they must agree"
        )
    errors = (outputs - jnp.asarray(y, outputs.dtype)) ** 2
    if mask is None:
        return errors.mean()
    real = jnp.where(mask.reshape(mask.shape + (1,) * (errors.ndim - 2)), errors, 0)
    numbers = mask.sum() * (errors.size // max(mask.size, 1))
    return real.sum() / jnp.maximum(numbers, 1).astype(errors.dtype)


def _metrics(trained: Trained, loss: Callable, part: dict, prefix: str) -> dict[str, float]:
    """Return the loss, and for classes the fraction that the model finds."""
    measured = {f"{prefix}loss": float(jax.jit(loss)(trained.params, part))}
    if not trained.classes or _needs_target(trained.model):
        return measured
    right = trained.predict(part["x"], part.get("mask")) == part["y"]
    mask = _mask_of_outputs(trained.model, part["x"], part.get("mask"), part["y"])
    measured[f"{prefix}accuracy"] = float(right.mean() if mask is None else right[mask].mean())
    return measured
