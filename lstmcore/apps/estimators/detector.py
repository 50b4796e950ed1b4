"""Anomaly detection as an outlier detector of scikit-learn.

detector = AnomalyDetector(window=48).fit(normal)
detector.predict(X)             1 for normal rows, -1 for anomalous ones
detector.detector_              the anomalies.Detector: errors, files, gates
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from lstmcore.apps.anomalies.detection import Detection, detect_one
from lstmcore.apps.anomalies.settings import Settings
from lstmcore.apps.anomalies.training import train
from lstmcore.apps.estimators.samples import as_samples, check_samples, names_of, settings_of
from lstmcore.apps.settings import field_types


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Outlier detector for the rows of a series, trained on rows that are taken to be normal.

    It is `anomalies.train` and `anomalies.detect` with the interface of scikit-learn. X is
    [rows, F] in the order of time, rows at equal distances; the score of a row depends on the rows
    around it, so shuffled or selected rows give other results. It scales X by itself. X is one
    series: for separate windows [N, T, F] use `anomalies.train`.

    A row that cannot be scored counts as normal, with the score 0: `detector_.errors(X)` is NaN
    there. These are the rows whose values are all missing, those of the first season, those that
    differencing drops at the start and, for method "prediction", the `window` rows after them.

    Args:
      method, season, search, window, horizon, units, activation, combine, masking, gaussian: as in
        `anomalies.Settings`.
      epochs, batch_size, learning_rate, patience, validation, seed: likewise.
      missing, difference, scaling: as in `series.Preprocessing`.
      row_score: `score` of `anomalies.detect`, by which a row is judged: "adaptive", "mean",
        "largest" or "mahalanobis". (In scikit-learn, `score` is the name of a method.)
      threshold, level: as in `anomalies.detect`.

    Attributes:
      detector_: `anomalies.Detector`, with its errors, files and gates.
      threshold_: `anomalies.Threshold` of the scores in training, and how it was computed.
      offset_: minus the threshold; `decision_function` is `score_samples` minus `offset_`.
      n_features_in_, feature_names_in_: number of columns, and their names if X was a data frame.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import estimators
      >>> X = np.sin(np.arange(300) / 4)[:, None]
      >>> detector = estimators.AnomalyDetector(window=8, units=4, epochs=2).fit(X)
      >>> anomalous = X.copy()
      >>> anomalous[200:203] = 5
      >>> bool((detector.predict(X) == 1).mean() > 0.9), int(detector.predict(anomalous)[201])
      (True, -1)
    """

    def __init__(
        self,
        *,
        method: str = "prediction",
        season: int | str | None = "auto",
        search: bool = True,
        window: int = 24,
        horizon: int = 1,
        units: int | tuple[int, ...] = (32, 16),
        activation: str = "tanh",
        combine: str = "mean",
        masking: float = 0.0,
        gaussian: float = 0.0,
        epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        patience: int | str | None = "auto",
        validation: float = 0.1,
        seed: int = 0,
        missing: str = "refuse",
        difference: tuple[int, ...] = (),
        scaling: str = "standard",
        row_score: str = "adaptive",
        threshold: str = "margin",
        level: float | None = None,
    ):
        self.method = method
        self.season = season
        self.search = search
        self.window = window
        self.horizon = horizon
        self.units = units
        self.activation = activation
        self.combine = combine
        self.masking = masking
        self.gaussian = gaussian
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation = validation
        self.seed = seed
        self.missing = missing
        self.difference = difference
        self.scaling = scaling
        self.row_score = row_score
        self.threshold = threshold
        self.level = level

    def fit(self, X, y=None) -> AnomalyDetector:
        """Train on normal rows, and take the threshold from their scores.

        Args:
          X: [rows, F], in the order of time. Anomalies among them are learned as normal, and raise
            the threshold.
          y: not used.

        Raises:
          ValueError: too few rows, infinite values or NaN (unless `missing` fills it), or
            parameters out of range.
          TypeError: parameters of another type.
          NonFiniteLossError: as in `lc.fit`.
        """
        settings = settings_of(Settings, self)
        detection = self._detection()
        table = as_samples(self, X, fitting=True, missing=self.missing)
        parts = 2 if settings.validation else 1
        check_samples(
            table,
            parts * settings.span + settings.dropped_rows,
            f"training on windows of {settings.window}" + ", and validation," * (parts - 1),
            "use more data, a shorter window or validation=0",
        )
        names = names_of(self)
        values = table if names is None else dict(zip(names, table.T, strict=True))
        self.detector_ = train(values, settings)
        result = detect_one(self.detector_, table, detection)
        self.threshold_, self._score_of = result.threshold, result.score
        self.offset_ = -self.threshold_.value
        return self

    def score_samples(self, X) -> np.ndarray:
        """Return minus the score of each row, [rows]: the lower, the more anomalous.

        Args:
          X: [rows, F] in the order of time, at least a window of them.

        Raises:
          NotFittedError: before `fit`.
          ValueError: other columns than in `fit`, too few rows, infinite values, or NaN unless
            `missing` fills it.
        """
        check_is_fitted(self)
        settings = self.detector_.settings
        preprocessing = settings.preprocessing
        table = as_samples(self, X, fitting=False, missing=preprocessing.missing)
        unscored = settings.dropped_rows + (settings.method == "prediction")
        check_samples(
            table,
            settings.window + unscored,
            f"scoring by windows of {settings.window}",
            "pass more rows at once",
        )
        scores = self._score_of(self.detector_.errors(table))
        return np.where(np.isnan(scores), 0.0, -scores)

    def decision_function(self, X) -> np.ndarray:
        """Return `score_samples` minus `offset_`, [rows]: negative where a row is anomalous.

        Arguments and errors as in `score_samples`.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """Return int [rows]: 1 for a normal row, -1 for an anomalous one.

        Arguments and errors as in `score_samples`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _detection(self) -> Detection:
        """Return row_score, threshold and level, which are checked before training, not after."""
        score = field_types(Detection)["score"].checked("row_score", self.row_score)
        return Detection.from_json(
            {"score": score, "threshold": self.threshold, "level": self.level}
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "refuse"
        return tags
