"""The main job, from a table to a trained model and its outputs: what `lstmcore fit` does.

settings    how to train
cutting     a table to windows
training    windows to a trained model
writing     what the model writes for them
folder      what is left behind in files (needs matplotlib)
"""

from lstmcore.apps.autoencoding.outputs import Part, encoder_run, in_units, outputs
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
    "outputs",
    "side_by_side",
    "train",
]
