"""The questions that public functions ask of a layer's weights before they compute.

As in `lstmcore.checks`, without JAX, for both engines.
"""

from __future__ import annotations

from lstmcore.checks import check_array, check_floating
from lstmcore.types import DenseParams, EmbeddingParams, LSTMParams


def check_lstm_params(params: LSTMParams, name: str = "params") -> tuple[int, int]:
    """The arrays fit together; returns (features, units)."""
    if not isinstance(params, LSTMParams):
        raise TypeError(
            f"{name} must be LSTMParams(kernel, recurrent_kernel, bias), got "
            f"{type(params).__name__}: make one with lc.init_lstm or LSTMParams(*weights)"
        )
    kernel, recurrent_kernel, bias, peephole, projection = params
    check_array(f"{name}.kernel", kernel, "features 4*units")
    check_array(f"{name}.recurrent_kernel", recurrent_kernel, "units 4*units")
    check_array(f"{name}.bias", bias, "4*units", "add the two biases of a PyTorch layer together")
    features, hidden = kernel.shape[0], recurrent_kernel.shape[0]
    units = hidden if projection is None else bias.shape[0] // 4
    shapes = tuple(tuple(a.shape) for a in (kernel, recurrent_kernel, bias))
    if shapes != ((features, 4 * units), (hidden, 4 * units), (4 * units,)):
        rows = "H" if projection is None else "P"
        raise ValueError(
            f"{name} must have shapes [F, 4H], [{rows}, 4H], [4H] with the four gates side by side "
            f"in the last axis, got {', '.join(map(str, shapes))}: weights stored the other way "
            "round need a transpose"
        )
    if peephole is not None:
        _check_peephole(f"{name}.peephole", peephole, units)
    if projection is not None:
        _check_projection(name, projection, units, hidden)
    _check_same_dtype(name, params)
    return features, units


def _check_peephole(name: str, peephole, units: int) -> None:
    check_array(name, peephole, "3 units", "one row for each of the gates i, f and o")
    if tuple(peephole.shape) != (3, units):
        raise ValueError(
            f"{name} has shape {tuple(peephole.shape)} but the {units} units of the bias need "
            f"(3, {units}): one row for each of the gates i, f and o"
        )


def _check_projection(name: str, projection, units: int, hidden: int) -> None:
    check_array(f"{name}.projection", projection, "units projected")
    if projection.shape[0] != units:
        raise ValueError(
            f"{name}.projection has shape {tuple(projection.shape)} but must be [H, P] with the "
            f"{units} units of the bias first: a PyTorch weight_hr needs a transpose"
        )
    if projection.shape[1] != hidden:
        raise ValueError(
            f"{name}.recurrent_kernel has {hidden} rows but the projection {name}.projection "
            f"{tuple(projection.shape)} needs {projection.shape[1]}, one for each number in the "
            "projected h: draw both with lc.init_lstm(..., projection=...)"
        )


def check_dense_params(params: DenseParams, name: str = "params") -> int:
    """The two arrays fit together; returns the number of features."""
    if not isinstance(params, DenseParams):
        raise TypeError(
            f"{name} must be DenseParams(kernel, bias), got {type(params).__name__}: "
            "make one with lc.init_dense or DenseParams(*weights)"
        )
    check_array(f"{name}.kernel", params.kernel, "features outputs")
    check_array(f"{name}.bias", params.bias, "outputs")
    if params.kernel.shape[1] != params.bias.shape[0]:
        raise ValueError(
            f"{name} must have shapes [F, U], [U], got {tuple(params.kernel.shape)}, "
            f"{tuple(params.bias.shape)}: a kernel stored as [U, F] needs a transpose"
        )
    _check_same_dtype(name, params)
    return params.kernel.shape[0]


def check_layer_params(params, kind, name: str) -> None:
    """The weights of a layer are of the right kind and, where that can be told, fit together."""
    if kind is LSTMParams:
        check_lstm_params(params, name)
    elif kind is DenseParams:
        check_dense_params(params, name)
    else:
        if not isinstance(params, kind):
            raise TypeError(f"{name} must be {kind.__name__}, got {type(params).__name__}")
        for field in kind._fields:
            value = getattr(params, field)
            if not hasattr(value, "shape"):
                raise TypeError(f"{name}.{field} must be an array, got {type(value).__name__}")
        _check_same_dtype(name, params)


def check_embedding_params(params: EmbeddingParams, name: str = "params") -> None:
    """`params` holds one vector for each token."""
    check_layer_params(params, EmbeddingParams, name)
    check_array(f"{name}.table", params.table, "tokens features")


def _check_same_dtype(name: str, params) -> None:
    arrays = {field: value for field, value in params._asdict().items() if value is not None}
    for field, value in arrays.items():
        check_floating(f"{name}.{field}", value)
    dtypes = [str(value.dtype) for value in arrays.values()]
    if len(set(dtypes)) > 1:
        raise ValueError(
            f"{name} mixes dtypes {', '.join(dtypes)}: convert them with astype to the same one"
        )
