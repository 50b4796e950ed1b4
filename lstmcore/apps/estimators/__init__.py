"""Estimators of scikit-learn, for its pipelines, cross-validation and grid searches.

    AnomalyDetector     `fit` to normal rows, then `predict`: 1 is normal, -1 anomalous
    SeriesForecaster    `predict` forecasts the rows after the last; `score` is a skill
    LatentFeatures      `transform` returns the codes of an autoencoder

The first two are `lstmcore.anomalies` and `lstmcore.forecasting` with the interface of
scikit-learn: their samples are rows in the order of time. All need scikit-learn, 1.6 or newer.
"""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401 (new in 1.6)
except ImportError as error:
    raise ImportError(
        "lstmcore.estimators needs the package scikit-learn, 1.6 or newer: pip install scikit-learn"
    ) from error

from lstmcore.apps.estimators.detector import AnomalyDetector
from lstmcore.apps.estimators.features import LatentFeatures
from lstmcore.apps.estimators.forecaster import SeriesForecaster

__all__ = ["AnomalyDetector", "LatentFeatures", "SeriesForecaster"]
