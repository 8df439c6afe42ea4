"""Read files of arrays, .npy and .npz, from anyone: nothing in them is run or trusted."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.graph import Graph

# What numpy and zipfile raise on files that were cut or altered.
_DAMAGED = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: Path, graph: Graph) -> tuple[np.ndarray, ...]:
    """One array for every input of the graph.

    A .npy file serves graphs of one input. A .npz holds arrays under the inputs' names, or without
    names (`np.savez(path, a, b)`) in their order; for one input the name `x`, or a single array of
    any name, will do. Pickled objects are refused.
    Raises: BadData naming the file.
    """
    found: list[str] = []

    def choose(names: list[str]) -> list[str]:
        found.extend(names)
        return _wanted(names, graph)

    arrays = _read(path, choose)
    if len(arrays) != len(graph.inputs):
        wanted = ", ".join(node.name for node in graph.inputs)
        raise BadData(
            f"{path}: holds {', '.join(found or arrays) or 'nothing'}; arrays named {wanted} wanted"
        )
    return tuple(arrays.values())


def read_array(path: Path) -> np.ndarray:
    """The one array of a .npy file; errors as in `read_arrays`."""
    arrays = _read(path, lambda names: names)
    if len(arrays) != 1:
        raise BadData(f"{path}: holds {len(arrays)} arrays; 1 wanted")
    return next(iter(arrays.values()))


def read_named(path: Path, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """The arrays of a .npz under these names; errors as in `read_arrays`."""
    arrays = _read(path, lambda found: [name for name in names if name in found])
    if len(arrays) != len(names):
        missing = ", ".join(name for name in names if name not in arrays)
        raise BadData(f"{path}: no array {missing}; a .npz with {', '.join(names)} wanted")
    return tuple(arrays.values())


def _read(path: Path, choose: Callable[[list[str]], list[str]]) -> dict[str, np.ndarray]:
    """The arrays of a .npz that `choose` names, in its order; that of a .npy is called `x`."""
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "does not exist"
        raise BadData(f"{path}: {found}; a .npy or .npz file wanted")
    _check_kind(path)
    try:
        # Opened here, because numpy leaves a file open whose archive it cannot read.
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            return {name: loaded[name] for name in choose(loaded.files)}
    except _DAMAGED as error:
        raise BadData(f"{path}: {_reason(error)}; a .npy or .npz file of numbers wanted") from None


def _wanted(names: list[str], graph: Graph) -> list[str]:
    """Which of a file's arrays are the inputs, in order; none where it cannot be told."""
    inputs = [node.name for node in graph.inputs]
    if all(name in names for name in inputs):
        return inputs
    if len(inputs) == 1 and "x" in names:
        return ["x"]
    # A mistyped name must not put an array in another input's place.
    unnamed = all(name == f"arr_{at}" for at, name in enumerate(names))
    return names if len(inputs) == 1 or unnamed else []


def _check_kind(path: Path) -> None:
    """Look at the first bytes: numpy takes everything else for a pickle and says so."""
    try:
        with path.open("rb") as stream:
            start = stream.read(6)
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})") from None
    if start != b"\x93NUMPY" and not start.startswith(b"PK"):
        found = "starts as neither .npy nor .npz files do" if start else "is empty"
        raise BadData(f"{path}: {found}; a .npy or .npz file wanted")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "pickle" in text:
        return "holds Python objects, which can run code when read"
    return f"is damaged ({text[:80] or type(error).__name__})"
