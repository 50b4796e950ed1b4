"""Autoencoding, the application of `lstmcore fit`: from a table to a trained model and its outputs.

settings    the settings of a run
windows     a table to windows
training    windows to a trained model
outputs     the outputs of the model for every window, in units of the table
folder      the files of a run (needs matplotlib)
"""

from lstmcore.apps.autoencoding.outputs import Part, encoder_run, in_units, outputs_of
from lstmcore.apps.autoencoding.settings import MODES, TUTORIAL, Settings
from lstmcore.apps.autoencoding.training import build, train
from lstmcore.apps.autoencoding.windows import SHOWN_STEPS, Windows, cut, side_by_side

__all__ = [
    "MODES",
    "SHOWN_STEPS",
    "TUTORIAL",
    "Part",
    "Settings",
    "Windows",
    "build",
    "cut",
    "encoder_run",
    "in_units",
    "outputs_of",
    "side_by_side",
    "train",
]
