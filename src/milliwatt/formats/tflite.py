"""Read a .tflite file into a Graph.

The file's structure is checked in `flatbuffer.py`, its tensors in `tflite_schema.py`, each
operator becomes nodes in `tflite_read`; here they are joined by their tensors and named.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite_read.subgraph import Loading
from milliwatt.formats.tflite_schema import ModelFile
from milliwatt.ir.graph import Graph
from milliwatt.ir.verify import verify

MAX_MESSAGE = 600


def read_tflite(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Graph:
    """Read a .tflite model, a path or the file's bytes, into a Graph.

    Activations are NHWC, convolution weights OHWI, depthwise weights [1,KH,KW,C*M]; a free batch
    size becomes 1. Padding is explicit and fused activations are clamps. Nodes are called after the
    layers of the source model, constants after their layer and role (`dense.weight`); `name` (the
    file's stem by default) names the graph. Raises ImportFailed where the file is damaged or breaks
    the TFLite specification, UnsupportedOp where it asks for what milliwatt does not have; the
    message names the file and the offset, tensor or operator.
    Source: TensorFlow Lite `schema.fbs`, version 3.
    """
    label, data = _load(source)
    try:
        with _no_collection():
            return verify(Loading(ModelFile(data)).graph(name or Path(label).stem))
    except InvalidGraph as error:
        raise ImportFailed(f"{label}: {_shortened(str(error))}") from None
    except (ImportFailed, UnsupportedOp) as error:
        raise type(error)(f"{label}: {_shortened(str(error))}") from None


def _shortened(message: str) -> str:
    """A message without its middle where it tells of a list that is as long as the file."""
    return message if len(message) <= MAX_MESSAGE else f"{message[:400]} ... {message[-150:]}"


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Stop Python's search for reference cycles: a read makes none and many objects that stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """(file name for messages, contents)."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "model.tflite", bytes(source)
    path = Path(source)
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "does not exist or is no ordinary file"
        raise ImportFailed(f"{path}: {found}; a .tflite file wanted")
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be read ({error.strerror})") from None
