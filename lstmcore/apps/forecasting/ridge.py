"""Ridge regression whose penalty is chosen by generalised cross-validation.

    kernel = (C + λ I)^-1 cov(inputs, targets)      C = V diag(v) V', the covariance of the inputs
           = V diag(1 / (v + λ)) V' cov(inputs, targets)

One decomposition serves any number of penalties λ, so that many can be compared.
"""

from __future__ import annotations

import numpy as np

PENALTIES = np.logspace(-8, 1, 19)  # relative to the largest variance along an axis
NEGLIGIBLE = 1e-12  # of the largest variance, along an axis that is left out


def ridge(inputs: np.ndarray, targets: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit targets by a linear map of inputs.

    The bias is not penalised. The inputs should have about the same spread.

    Args:
      inputs: [N, D].
      targets: [N, O].
      groups: G, the numbers of penalties; the targets 0, G, 2 G, ... share one, and so on.

    Returns:
      (kernel [D, O], bias [O]).

    Source: Hoerl & Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal
    Problems".
    """
    means = inputs.mean(axis=0), targets.mean(axis=0)
    inputs, targets = inputs - means[0], targets - means[1]
    count, width = inputs.shape
    is_wide = width > count
    square = inputs @ inputs.T if is_wide else inputs.T @ inputs
    variances, axes = np.linalg.eigh(square / count)
    kept = variances > NEGLIGIBLE * variances[-1]
    variances, axes = variances[kept], axes[:, kept]  # [r], and [D, r] or [N, r]
    if is_wide:
        axes = inputs.T @ axes / np.sqrt(variances * count)
    along = axes.T @ (inputs.T @ targets / count)  # [r, O], covariances with the targets
    spreads = (targets**2).mean(axis=0)
    penalty = _cross_validated(variances, along, spreads, count, groups)
    kernel = axes @ (along / (variances[:, None] + penalty))
    return kernel, means[1] - means[0] @ kernel


def _cross_validated(
    variances: np.ndarray, along: np.ndarray, spreads: np.ndarray, count: int, groups: int
) -> np.ndarray:
    """Return the penalty of each target [O], that of the least generalised cross-validation error.

    Args:
      variances: [r], of the inputs along their principal axes.
      along: [r, O], covariances of the inputs along them and the targets.
      spreads: [O], variances of the targets.
      count: number of examples.
      groups: see `ridge`.

    Source: Golub, Heath & Wahba (1979), "Generalized cross-validation as a method for choosing a
    good ridge parameter".
    """
    shared = len(spreads) // groups  # targets that share a penalty
    squares = (along**2).reshape(len(variances), shared, groups).sum(axis=1)  # [r, G]
    total = spreads.reshape(shared, groups).sum(axis=0)
    penalties = PENALTIES * variances.max(initial=0)
    if not penalties.any():
        return np.ones(len(spreads))  # the inputs never change
    errors = []
    for penalty in penalties:
        damped = variances + penalty
        explained = (2 / damped - variances / damped**2) @ squares
        # The fraction of degrees of freedom that is left; one is that of the mean.
        free = 1 - (1 + (variances / damped).sum()) / count
        errors.append(np.maximum(total - explained, 0) / free**2 if free > 0 else total * np.inf)
    best = np.argmin(np.nan_to_num(errors, nan=np.inf, posinf=np.inf), axis=0)
    return np.tile(penalties[best], shared)
