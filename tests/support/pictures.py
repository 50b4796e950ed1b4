"""What tests of pictures share: runs to draw, and questions that are asked of every figure."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from lstmcore.study.record import Run
from lstmcore.types import Gates, Trace


@pytest.fixture(autouse=True)
def no_global_state():
    """Nothing is left behind in pyplot, whichever picture was drawn."""
    settings = dict(mpl.rcParams)
    yield
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def a_run(rng, steps=10, units=3, *, batch=2, features=1, mask=None, written=None) -> Run:
    """A run of one layer, "lstm_0"; `written` steps of its own make it a decoder."""
    shape = (batch, written or steps, units)
    i, f, o = rng.uniform(0.2, 0.7, (3, *shape))
    gates = Gates(i, f, rng.uniform(-0.4, 0.2, shape), o)
    trace = Trace(rng.normal(size=shape), rng.normal(size=shape), gates)
    return of_trace(trace, rng.normal(size=(batch, steps, features)), mask, masked=not written)


def of_trace(trace: Trace, x=None, mask=None, masked=True) -> Run:
    x = np.ones((*trace.h.shape[:2], 1)) if x is None else x
    traces, masks = {"lstm_0": trace}, {"lstm_0": mask if masked else None}
    return Run(x, mask, None, traces, masks, layers=("lstm_0",))


def assert_drawable(figure):
    """It is a figure, and it becomes a picture without a warning."""
    assert isinstance(figure, Figure)
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    file.seek(0)
    assert pyplot.imread(file).std() > 0


def assert_draws_into(draw, *shape, **options):
    """`draw(axes=...)` uses the caller's panels and no others, and returns their figure."""
    figure = Figure()
    axes = figure.subplots(*shape, **options)
    assert draw(axes=axes) is figure
    assert figure.axes == list(np.ravel(axes))
    assert all(panel.has_data() for panel in figure.axes)
    assert figure.get_suptitle() == ""
    assert_drawable(figure)
    nested = Figure()
    part, _ = nested.subfigures(1, 2)
    assert draw(axes=part.subplots(*shape, **options)) is nested
    assert_drawable(nested)


def assert_counts_axes(draw, count: int, meaning: str):
    """Too many and too few panels are refused, as is what is none."""
    for wrong in {1, count + 1} - {count}:
        axes = Figure().subplots(1, wrong)
        with pytest.raises(
            ValueError, match=rf"axes must be {count} Axes \({meaning}\), got {wrong}"
        ):
            draw(axes=axes)
    with pytest.raises(TypeError, match="axes must be matplotlib Axes, got str: make them with"):
        draw(axes=["top"])


def ticks_of(axis) -> list[tuple[float, str]]:
    words = [label.get_text() for label in axis.get_ticklabels()]
    return list(zip(axis.get_ticklocs(), words, strict=True))


def titles_of(figure) -> list[str]:
    return [axes.get_title(loc="left").replace("$", "") for axes in figure.axes]


def colours_of(axes) -> tuple[float, float]:
    (image,) = axes.images
    return image.get_clim()


def values_of(axes) -> np.ndarray:
    (image,) = axes.images
    return np.ma.filled(image.get_array(), np.nan)


def hatched(axes) -> list[tuple[float, float]]:
    """The stretches of steps that are hatched."""
    patches = [patch for patch in axes.patches if patch.get_hatch()]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]


def bars_of(axes) -> list[float]:
    return [patch.get_height() for patch in axes.patches if not patch.get_hatch()]
