"""Read the data of an inspector's page, as its scripts decode it."""

import base64
import json
import re

import numpy as np
import pytest


def contents(page) -> dict:
    """Return the data of a page, as a browser would read them."""
    found = re.search(
        r'<script id="run" type="application/json">(.*?)</script>', page.read_text("utf-8"), re.S
    )
    return json.loads(found[1], parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def decoded(layer: dict, quantity: str) -> np.ndarray:
    """Return a quantity of a layer, [B, T, H], as data.js decodes it."""
    entry = layer["quantities"][quantity]
    codes = [np.frombuffer(base64.b64decode(text), "<u2") for text in entry["codes"]]
    codes = np.stack(codes).reshape(len(codes), layer["units"], layer["steps"]).swapaxes(1, 2)
    values = np.array(entry["low"]) + codes * np.array(entry["step"])
    return np.where(codes == 65535, np.nan, values)


def numbers(series: dict) -> np.ndarray:
    """Return the values of an input or an output, [B, T, F]."""
    rows = np.stack([np.frombuffer(base64.b64decode(text), "<f4") for text in series["values"]])
    return rows.reshape(len(rows), len(series["names"]), series["steps"]).swapaxes(1, 2)
