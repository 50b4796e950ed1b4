"""What a file of ONNX says of the model that lstmcore wrote into it.

The nodes of a mask, or of a forecaster, are no chain of layers that a reader could follow. The
metadata hold the model as files of `lc.save` do, and a hash of the graph: a graph that another tool
has edited since is another model.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from lstmcore.io.json_text import parse_json
from lstmcore.io.model_file import KEY
from lstmcore.models.description import described

__all__ = ["describe", "description_of"]


def describe(proto: Any, model: Any) -> None:
    """Add a model to the metadata of its file, unless one of its activations has no name."""
    try:
        description = described(model) | {"graph": _hash(proto)}
    except ValueError:
        return
    proto.metadata_props.add(key=KEY, value=json.dumps(description))


def description_of(proto: Any, where: str) -> Any:
    """Return the model that a file describes, or None if it does not or its graph was edited.

    Args:
      proto: the message of the file.
      where: the file.
    """
    given = [entry.value for entry in proto.metadata_props if entry.key == KEY]
    if len(given) != 1:
        return None
    try:
        description = parse_json(given[0], where)
    except ValueError:
        return None
    if not isinstance(description, dict) or description.get("graph") != _hash(proto):
        return None
    return description


def _hash(proto: Any) -> str:
    return sha256(proto.graph.SerializeToString(deterministic=True)).hexdigest()
