"""The main job, from a table to a trained model and its outputs: what `lstmcore fit` does.

settings    how to train
cutting     a table to windows
training    windows to a trained model
writing     what the model writes for them
folder      what is left behind in files (needs matplotlib)
"""

from lstmcore.job.cutting import SHOWN_STEPS, Windows, cut, side_by_side
from lstmcore.job.settings import MODES, TUTORIAL, Settings
from lstmcore.job.training import build, train
from lstmcore.job.writing import Part, encoder_run, in_units, outputs

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
