"""Codes of an autoencoder as features, in a transformer of scikit-learn.

features = LatentFeatures(lc.Autoencoder(features=2, units=8), epochs=50)
classifier = make_pipeline(StandardScaler(), features, LogisticRegression())
"""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from lstmcore import checks
from lstmcore.apps.settings import TrainingSettings
from lstmcore.apps.training import fit_model
from lstmcore.formatting import count
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.dense_autoencoder import DenseAutoencoder
from lstmcore.programs import compiled
from lstmcore.regularization import corrupt

ROWS_AT_ONCE = 1024  # in `transform`, so that memory does not grow with the data


class LatentFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transformer of rows into the codes of an autoencoder, which is trained without labels.

    It works in pipelines, with `clone` and with `GridSearchCV`. A row is a window [T, F] or, since
    most of scikit-learn passes on tables, the same window flattened to T * F numbers, step after
    step; T follows from `features` of the model. For a dense autoencoder a row is `features`
    numbers. Scale X first, for instance by StandardScaler.

    Args:
      model: `lc.Autoencoder` that returns as many steps as it reads, or `lc.DenseAutoencoder`.
      epochs, batch_size: as in `lc.fit`.
      learning_rate: of Adam.
      masking, gaussian: as in `lc.corrupt`: in training the input is corrupted and the target is
        not (a denoising autoencoder, Vincent et al. 2008).
      seed: of weights, order of rows and noise; equal seeds give equal codes.

    Attributes:
      params_: the trained weights, for `model.apply`.
      loss_: NumPy [epochs], the mean squared error of each.
      n_features_in_: number of values in a row.

    Examples:
      >>> import numpy as np, lstmcore as lc
      >>> from lstmcore import estimators
      >>> X = np.sin(np.arange(40)[:, None] + np.arange(6))   # windows of 6 steps, flattened
      >>> features = estimators.LatentFeatures(lc.Autoencoder(features=1, units=3), epochs=2)
      >>> features.fit_transform(X).shape, features.get_feature_names_out()[0]
      ((40, 3), 'latentfeatures0')
    """

    def __init__(
        self,
        model,
        *,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        masking: float = 0.0,
        gaussian: float = 0.0,
        seed: int = 0,
    ):
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.masking = masking
        self.gaussian = gaussian
        self.seed = seed

    def fit(self, X, y=None) -> LatentFeatures:
        """Train the autoencoder to reconstruct X.

        Args:
          X: [N, T, F] or [N, T * F]; [N, F] for a dense autoencoder. Neither NaN nor infinite.
          y: not used.

        Raises:
          ValueError: X of another shape, NaN or infinite; or as `lc.fit`.
          TypeError: a model of another class.
        """
        _check_model(self.model)
        settings = TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=None,
            seed=self.seed,
        )
        checks.check_number("gaussian", self.gaussian)
        corrupt(None, jnp.zeros(0), masking=self.masking, gaussian=self.gaussian)  # checks both
        x = self._examples(X, fitting=True)
        loss = partial(_loss, self.model, self.masking, self.gaussian)
        result = fit_model(self.model, settings, loss, x)
        self.params_, self.loss_ = result.params, result.history["loss"]
        self._n_features_out = self.model.units[-1]  # for get_feature_names_out
        return self

    def transform(self, X) -> np.ndarray:
        """Return the codes of X, float32 [N, units[-1]].

        Raises:
          NotFittedError: before `fit`.
          ValueError: X of another number of columns than in `fit`, NaN or infinite.
        """
        check_is_fitted(self)
        x = self._examples(X, fitting=False)
        starts = range(0, len(x), ROWS_AT_ONCE)
        chunks = [x[start : start + ROWS_AT_ONCE] for start in starts]
        return np.concatenate([_codes(self.model, self.params_, chunk) for chunk in chunks])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]  # what the model computes in
        return tags

    def _examples(self, X, *, fitting: bool) -> np.ndarray:
        """Return X as the model reads it, after the checks of scikit-learn."""
        size, dense = self.model.features, isinstance(self.model, DenseAutoencoder)
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
        if len(shape) == 3:
            if dense or shape[2] != size:
                wants = f"[N, {size}], X.reshape(len(X), -1)" if dense else f"[N, T, {size}]"
                raise ValueError(f"X has shape {shape} but the model reads {wants}")
            X = np.asarray(X).reshape(len(X), -1)
        with np.errstate(over="ignore"):  # what overflows float32 is infinite, which is refused
            table = validate_data(self, X, dtype=np.float32, reset=fitting)
        columns = table.shape[1]
        if dense and columns != size:
            raise ValueError(
                f"X has {count(columns, 'column')} but the model reads {size} features"
            )
        if columns % size:
            raise ValueError(
                f"X has {count(columns, 'column')}, not a multiple of the {size} features: "
                f"give windows [N, T, {size}], or flattened [N, T * {size}]"
            )
        return table if dense else table.reshape(len(table), -1, size)


def _check_model(model) -> None:
    if not isinstance(model, Autoencoder | DenseAutoencoder):
        raise TypeError(
            "model must be an lc.Autoencoder or an lc.DenseAutoencoder, got "
            f"{type(model).__name__}: other models have no code, or do not only reconstruct X"
        )
    if isinstance(model, Autoencoder) and model.steps is not None:
        raise ValueError(
            f"model returns {model.steps} steps, but it must reconstruct X: make it with steps=None"
        )


def _loss(model, masking: float, gaussian: float, params, x, key=None):
    x_hat, _ = model.apply(params, corrupt(key, x, masking=masking, gaussian=gaussian))
    return jnp.mean((x_hat - x) ** 2)


@compiled
def _codes(model, params, x):
    return model.encode(params, x)[0]
