"""Train the LSTM autoencoders of two well-known tutorials, and print their figures beside ours.

    python -m benchmarks published [--keys 12]

The stacked autoencoder (Ranjan 2019, "Step-by-step
understanding LSTM Autoencoder layers") reconstructs five windows of 3 x 2. The reconstruction,
prediction and composite autoencoders (Brownlee 2018, "A Gentle Introduction to LSTM Autoencoders")
each learn the series 0.1 ... 0.9. A published figure is one run of one seed; ours are medians
over several random keys, with the worst beside them.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from lstmcore.series import temporalize, tutorial_series

EPOCHS = 300
STACKED_PARAMETERS = {
    "encoder_0": 67_072,
    "encoder_1": 49_408,
    "repeat": 0,
    "decoder_0": 33_024,
    "decoder_1": 98_816,
    "head": 258,
    "total": 248_578,
}
SERIES = (np.arange(1, 10, dtype=np.float32) / 10).reshape(1, 9, 1)
TARGETS = {
    "reconstruction": SERIES[0, :, 0],
    "prediction": SERIES[0, 1:, 0],
    "composite, past": SERIES[0, :, 0],
    "composite, future": SERIES[0, 1:, 0],
}
PUBLISHED = {
    "reconstruction": [0.1056, 0.2022, 0.3004, 0.3995, 0.4991, 0.5988, 0.6983, 0.7991, 0.9024],
    "prediction": [0.1668, 0.2899, 0.4032, 0.5089, 0.6094, 0.7060, 0.7997, 0.8915],
    # Of the composite only the first and the last value of each series are known.
    "composite, past": [0.1013] + 7 * [np.nan] + [0.9000],
    "composite, future": [0.1987] + 6 * [np.nan] + [0.8988],
}

STACKED = lc.Autoencoder(features=2, units=(128, 64), activation="relu")
RECONSTRUCTION = lc.Autoencoder(features=1, units=100, activation="relu")
PREDICTION = lc.Autoencoder(features=1, units=100, activation="relu", steps=8)
COMPOSITE = lc.CompositeAutoencoder(features=1, units=100, steps=8, activation="relu")


def reconstruct(model, params, x):
    """Compute the mean squared error of the reconstruction."""
    x_hat, _ = model.apply(params, x)
    return jnp.mean((x_hat - x) ** 2)


def stacked_loss(params, x):
    """Compute the loss of the stacked autoencoder."""
    return reconstruct(STACKED, params, x)


def reconstruction_loss(params, x):
    """Compute the loss of the reconstruction autoencoder."""
    return reconstruct(RECONSTRUCTION, params, x)


def prediction_loss(params, x):
    """Compute the loss of the autoencoder that predicts the next values."""
    future, _ = PREDICTION.apply(params, x)
    return jnp.mean((future - x[:, 1:]) ** 2)


def composite_loss(params, x):
    """Compute the sum of both losses of the composite autoencoder."""
    (past, future), _ = COMPOSITE.apply(params, x)
    return jnp.mean((past - x) ** 2) + jnp.mean((future - x[:, 1:]) ** 2)


def train(model, loss, x, seed: int, batch_size: int):
    """Train the model and return its output for the training data."""
    init_key, order_key = jax.random.split(jax.random.key(seed))
    result = lc.fit(
        loss, model.init(init_key), x, epochs=EPOCHS, batch_size=batch_size, key=order_key
    )
    return model.apply(result.params, x)[0]


def stacked_errors(keys: int) -> np.ndarray:
    """Return the largest error over all values of the five windows, for each run: [keys]."""
    x, _ = temporalize(tutorial_series().astype(np.float32), np.zeros(9), lookback=3)
    runs = (train(STACKED, stacked_loss, x, seed, batch_size=5) for seed in range(keys))
    return np.array([np.abs(x_hat - x).max() for x_hat in runs])


def series_outputs(keys: int) -> dict[str, np.ndarray]:
    """Return the output of each model for the series, for each run: [keys, steps]."""
    outputs: dict[str, list] = {name: [] for name in TARGETS}
    for seed in range(keys):
        past = train(RECONSTRUCTION, reconstruction_loss, SERIES, seed, batch_size=1)
        future = train(PREDICTION, prediction_loss, SERIES, seed, batch_size=1)
        both = train(COMPOSITE, composite_loss, SERIES, seed, batch_size=1)
        for name, output in zip(TARGETS, (past, future, *both), strict=True):
            outputs[name].append(output[0, :, 0])
    return {name: np.array(runs) for name, runs in outputs.items()}


def tolerances(name: str) -> np.ndarray:
    """Return the largest error allowed at each step: larger for the first step of a prediction."""
    limits = np.full(len(TARGETS[name]), 0.02)
    if name in ("prediction", "composite, future"):
        limits[0] = 0.045
    return limits


def within_tolerance(name: str, runs: np.ndarray) -> np.ndarray:
    """Return which runs [keys, steps] are close to the target at every step: bool [keys]."""
    return (np.abs(runs - TARGETS[name]) <= tolerances(name)).all(axis=1)


def main(arguments: list[str] | None = None) -> None:
    """Train everything and print the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks published", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--keys", type=int, default=12, help="random keys per model (default 12)")
    keys = parser.parse_args(arguments).keys

    print("Stacked autoencoder, parameters as published")
    print("  " + "  ".join(f"{name} {count:,}" for name, count in STACKED_PARAMETERS.items()))
    print("and here")
    print(lc.summary(STACKED, timesteps=3), "\n")

    errors = stacked_errors(keys)
    print(f"Stacked autoencoder, largest error over five windows after {EPOCHS} epochs")
    print("  published: about 0.03 (one run)")
    print(
        f"  ours, {keys} keys: median {np.median(errors):.3f}, from {errors.min():.3f} to "
        f"{errors.max():.3f}; within 0.06: {(errors <= 0.06).sum()} of {keys}\n"
    )

    for name, runs in series_outputs(keys).items():
        print(f"{name[0].upper()}{name[1:]}, series 0.1 ... 0.9 after {EPOCHS} epochs")
        print("  target   ", numbers(TARGETS[name]))
        print("  published", numbers(PUBLISHED[name]))
        print("  ours     ", numbers(np.median(runs, axis=0)), "  (medians)")
        worst = np.abs(runs - TARGETS[name]).max(axis=0)
        print("  errors   ", numbers(worst), "  (largest)")
        limits = sorted(set(tolerances(name)))
        limit = " (first step 0.045)" if len(limits) > 1 else ""
        print(f"  within 0.02{limit}: {within_tolerance(name, runs).sum()} of {keys}\n")


def numbers(values) -> str:
    """Return a row of numbers with four decimals; a dot for NaN."""
    return " ".join("   .  " if np.isnan(value) else f"{value:.4f}" for value in values)
