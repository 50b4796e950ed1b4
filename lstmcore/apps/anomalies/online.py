"""Online detection: each row of a series is scored when it arrives, in constant memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, replace

import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.apps.anomalies.adaptive import AdaptiveScore, RunningScore
from lstmcore.apps.anomalies.detector import Detector, finite, scaled_rows
from lstmcore.apps.anomalies.scores import mean_absolute
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import Kind, open_tensors, write_tensors
from lstmcore.models.streaming import Stream, named, stream, weights_digest
from lstmcore.series import fit_filling, seasonal_level
from lstmcore.series.arguments import as_row
from lstmcore.series.arrays import as_numbers, check_size
from lstmcore.series.events import limit_of
from lstmcore.series.seasonality import MEDIAN_OF
from lstmcore.types import LSTMState

FORMAT = 1
KEY = "lstmcore_alarm"  # of the one entry in the file's metadata; it cannot change any more
ARRAYS = ("recent", "predictions", "errors", "past")  # which may hold NaN


@dataclass(frozen=True, eq=False, repr=False)
class OnlineDetector:
    """A detector that reads a series row by row; immutable: `step` returns the next one.

        online = OnlineDetector.of(detector, threshold)
        score, online = online.step(row)        # whenever a row arrives
        online.is_anomalous                     # whether its score is above the threshold

    The scores are those of the errors that `detector.errors` returns for the whole series, up to
    rounding. An online detector holds the state of the model, the last predictions, and the last
    rows that differencing and filling need: the same number of bytes after ten rows and after ten
    million.

    Attributes:
      detector: of method "prediction".
      threshold: the score above which `is_anomalous` is True.
      score: a function from errors [rows, F] to scores [rows]: `mean_absolute`, `gaussian.score`,
        or an `AdaptiveScore`.
      before, running: an `AdaptiveScore` before and after the last row; None of a score without a
        memory.
      value: the score of the last row; NaN before the first.
      stream: `lc.Stream` of the model; `stream.traces` holds its gates at the last row.
      past: [k, F], the last rows, as they came, that the seasonal level is taken from.
      recent: [k, F], the last rows, without season and filled, in units of the data; NaN before the
        first.
      predictions: [horizon, horizon, F], scaled, the last ones first: [j, k] was made j rows ago,
        for the (k + 1)-th row from there. NaN before the first.
      errors: [F], of the last row, in scaled units, signed; `contributions(online.errors[None])`
        tells which feature made it anomalous.
      read: number of rows so far.
    """

    detector: Detector
    threshold: float
    score: Callable[[np.ndarray], np.ndarray]
    before: RunningScore | None
    running: RunningScore | None
    value: float
    stream: Stream
    past: np.ndarray
    recent: np.ndarray
    predictions: np.ndarray
    errors: np.ndarray
    read: int

    @property
    def is_anomalous(self) -> bool:
        """Return whether the score of the last row is above the threshold."""
        return self.value > self.threshold

    @classmethod
    def of(cls, detector: Detector, threshold, score: Callable = mean_absolute) -> OnlineDetector:
        """Return an online detector before its first row.

        Args:
          detector: of method "prediction".
          threshold: a number, or a `thresholds.Threshold`.
          score: what the threshold was computed from; `DetectionResult.score` is one.

        Raises:
          ValueError: a detector of method "reconstruction" or with own levels, or a threshold that
            is NaN.
          TypeError: a score that is not a function, or a threshold that is not a number.

        Examples:
          >>> from lstmcore import anomalies
          >>> settings = anomalies.Settings(method="prediction", window=8, season=0, units=4)
          >>> detector = anomalies.train(np.sin(np.arange(200) / 4), settings)
          >>> score = anomalies.fit_adaptive(detector.training_errors, settings.window)
          >>> online = anomalies.OnlineDetector.of(detector, score.threshold, score)
          >>> for value in [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.0, 50.0]:
          ...     score, online = online.step([value])
          >>> online.is_anomalous
          True
        """
        settings = detector.settings
        if settings.method != "prediction":
            raise ValueError(
                f"detector is of method {settings.method!r}, which reads whole windows: train one "
                'with method="prediction" to read a stream'
            )
        if detector.levels is not None:
            raise ValueError(
                "detector scales each series by its own level, which a stream does not name: train "
                'it with levels="common" to read a stream'
            )
        if not callable(score):
            raise TypeError(f"score must be a function of errors, got {type(score).__name__}")
        features = detector.preprocessor.features
        horizon = settings.horizon
        start = score.start() if isinstance(score, AdaptiveScore) else None
        return cls(
            detector,
            limit_of(threshold),
            score,
            start,
            start,
            np.nan,
            stream(detector.model, detector.params),
            past=np.full((MEDIAN_OF * (settings.season_rows or 0), features), np.nan),
            recent=np.full((max(1, detector.preprocessor.dropped_rows), features), np.nan),
            predictions=np.full((horizon, horizon, features), np.nan, np.float32),
            errors=np.full(features, np.nan),
            read=0,
        )

    def step(self, row) -> tuple[float, OnlineDetector]:
        """Score a row against its predictions, and read it.

        Args:
          row: numbers [F], in units of the data; NaN is missing. The values of a dict or of a row
            of a data frame are matched by name, if the detector was trained on a table with names.

        Returns:
          (score, the online detector after this row). The score is NaN for the first rows and where
          values are missing, as in `Detector.errors`.

        Raises:
          ValueError: other features, a value that the preprocessing refuses, or one so large that
            the model overflows. This detector is unchanged, and can continue with the next row.
        """
        preprocessor, settings = self.detector.preprocessor, self.detector.settings
        row = as_row(row, preprocessor.columns)
        if row.shape != (preprocessor.features,):
            raise ValueError(
                f"row must be [{preprocessor.features}], one number for each feature, got shape "
                f"{row.shape}"
            )
        row = as_numbers("values", row).astype(float)
        left, past = self._without_season(row)
        recent = self.recent
        errors = np.full(preprocessor.features, np.nan)
        predictions, running = self.predictions, self.stream
        read = self.read - (settings.season_rows or 0)
        if read >= 0:
            table = np.concatenate([recent[max(0, len(recent) - read) :], left[None]])
            filled = preprocessor.filled(table)
            recent = np.concatenate([recent, filled[-1:]])[1:]
        position = read - preprocessor.dropped_rows  # among the rows that the model reads
        if position >= 0:
            scaled = scaled_rows(preprocessor, filled)[-1]
            if position >= self.detector.unread_rows:
                made = np.arange(min(position, settings.horizon))  # rows since a prediction of it
                combine = np.mean if settings.combine == "mean" else np.median
                errors = scaled - combine(predictions[made, made].astype(float), axis=0)
                errors[np.isnan(row)] = np.nan
            y, running = running.step(jnp.asarray(scaled[None]))
            newest = finite(y).reshape(1, settings.horizon, -1)
            predictions = np.concatenate([newest, predictions])[: settings.horizon]
        value, scored = self._scored(self.running, errors)
        after = replace(
            self,
            before=self.running,
            running=scored,
            value=value,
            stream=running,
            past=past,
            recent=recent,
            predictions=predictions,
            errors=errors,
            read=self.read + 1,
        )
        return value, after

    def _without_season(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (the row minus its seasonal level, `past` with this row)."""
        settings = self.detector.settings
        if not settings.season_rows:
            return row, self.past
        if settings.preprocessing.missing == "refuse":
            fit_filling(row[None], "refuse").transform(row[None])
        check_size(row[None])
        past = np.concatenate([self.past, row[None]])
        level = seasonal_level(past[:: settings.season_rows], 1)[-1]
        return row - level, past[1:]

    def save(self, path: str | os.PathLike) -> None:
        """Write the state (not the detector) into a file, to continue in another process.

        Raises:
          OSError: the file cannot be written.
        """
        description = {"format": FORMAT, "read": self.read, "detector": self._detector_digest()}
        if self.before is not None:
            description["scored"] = self.before.read
        write_tensors(path, self._arrays(), {KEY: json.dumps(description)})

    def resume(self, path: str | os.PathLike) -> OnlineDetector:
        """Return this online detector in the state that `save` wrote.

        Args:
          path: the file, saved from the same detector. Threshold and score may differ, but only a
            state that was saved with an `AdaptiveScore` holds what one remembers.

        Raises:
          ValueError: the file is damaged, or of another detector.
          FileNotFoundError: there is no such file.
        """
        with open_tensors(path) as file:
            problem = "holds no state of an online detector: OnlineDetector.save writes one"
            description = file.description(KEY, problem)
            with damaged(path):
                if description["format"] != FORMAT:
                    raise ValueError(f"it is not described in format {FORMAT}")
                read = checks.check_count("read", description["read"], 0, maximum=2**63 - 1)
                detector = description.get("detector")  # missing in files of lstmcore 0.1
                scored = description.get("scored")  # missing in earlier files
                if scored is not None:
                    checks.check_count("scored", scored, 0, maximum=read)
            self._check_memory(path, file.kinds)
            if file.kinds != {name: Kind.of(array) for name, array in self._arrays().items()}:
                raise ValueError(f"{path} belongs to another detector: the sizes differ")
            if detector not in (None, self._detector_digest(), self._earlier_digest()):
                raise ValueError(
                    f"{path} belongs to another detector of the same sizes: load the detector that "
                    "it was saved from"
                )
            arrays = file.read()
        with damaged(path):
            check_size(arrays["recent"])
            check_size(arrays.get("past", self.past))
            for name in self._arrays().keys() - ARRAYS:
                if np.isnan(arrays[name]).any():
                    raise ValueError(f"{name} holds NaN, which no state does")
            before = None
            if isinstance(self.score, AdaptiveScore):
                before = self.score.remembering(arrays["memory"], scored).start()
            value, running = self._scored(before, arrays["errors"])
        states = {
            layer: LSTMState(*(jnp.asarray(arrays[f"{layer}/{field}"]) for field in ("h", "c")))
            for layer in self.stream.states
        }
        return replace(
            self,
            before=before,
            running=running,
            value=value,
            stream=replace(self.stream, states=states),
            read=read,
            past=arrays.get("past", self.past),
            recent=arrays["recent"],
            predictions=arrays["predictions"],
            errors=arrays["errors"],
        )

    def __repr__(self) -> str:
        return f"OnlineDetector({self.detector!r}, threshold={self.threshold:g}, read={self.read})"

    def _arrays(self) -> dict:
        """Return the contents of a file: ARRAYS, a memory, and the states of the model's layers.

        Without a season there is no "past", which files of earlier versions did not have.
        """
        arrays = {name: getattr(self, name) for name in ARRAYS}
        if not self.detector.settings.season_rows:
            del arrays["past"]
        if self.before is not None:
            arrays["memory"] = self.before.memory
        return arrays | named(self.stream.states)

    def _scored(
        self, running: RunningScore | None, errors: np.ndarray
    ) -> tuple[float, RunningScore | None]:
        """Return the score of a row of errors [F], and the score after it, if it has a memory."""
        if running is not None:
            return running.step(errors)
        return float(np.asarray(self.score(errors[None]))[0]), None

    def _check_memory(self, path: str | os.PathLike, names: Container[str]) -> None:
        """Refuse a state whose score remembered other things than this one's."""
        remembers = self.before is not None
        if remembers != ("memory" in names):
            raise ValueError(
                f"{path} was saved with a score that "
                + ("remembers no" if remembers else "remembers")
                + " errors of earlier rows, and the score given here "
                + ("does" if remembers else "does not")
                + ": resume it with the score it was saved with"
            )

    def _detector_digest(self) -> str:
        """Return a digest of weights, settings and scaling, which tells equal sizes apart."""
        detector = self.detector
        text = [self._settings(), detector.preprocessor.to_json()]
        return weights_digest(detector.params, text)

    def _settings(self) -> dict:
        """Return the settings; without a season, those that detectors had before there was one."""
        settings = asdict(self.detector.settings)
        del settings["search"]  # which says what was to be chosen, not what was
        del settings["levels"]  # of which there are none in a stream
        if not self.detector.settings.season_rows:
            del settings["season"]
        return settings

    def _earlier_digest(self) -> str:
        """Return the digest with the names that fields had in 0.1.0.dev0 at first."""
        detector = self.detector
        settings, stored = self._settings(), detector.preprocessor.to_json()
        settings["ahead"] = settings.pop("horizon")
        settings["preparation"] = settings.pop("preprocessing")
        stored["preparation"] = stored.pop("preprocessing")
        return weights_digest(detector.params, [settings, stored])
