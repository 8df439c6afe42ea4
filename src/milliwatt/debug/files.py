"""Files milliwatt writes: graphs, folders of firmware; each whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from milliwatt.errors import ImportFailed, InvalidGraph, MilliwattError, UnsupportedOp
from milliwatt.ir.graph import Graph
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.verify import verify

SUMS = "SHA256SUMS"
GRAPH_SUFFIXES = (".mwg", ".tflite")
"""Kinds of files that `write_graph` writes."""
# What attributes of a wrong type or size end in, whatever operator reads them.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_graph(path: Path) -> Graph:
    """The Graph in a .mwg file; ImportFailed where it is missing, damaged or no graph of ours."""
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "does not exist"
        raise ImportFailed(f"{path}: {found}; a .mwg file wanted")
    try:
        return verify(parse_graph(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ImportFailed(f"{path}: not text; a .mwg file holds a graph as UTF-8 text") from None
    except UnsupportedOp as error:
        raise UnsupportedOp(f"{path.name}: {error}") from None
    except InvalidGraph as error:
        raise ImportFailed(f"{path.name}: {error}") from None
    except _DAMAGED as error:
        raise ImportFailed(f"{path.name}: not a graph of milliwatt ({error})") from None


def write_graph(graph: Graph, path: Path) -> None:
    """Write `graph` as its suffix says, text that `read_graph` takes or TFLite's format, in a
    folder made for it.

    Raises: MilliwattError where that fails; InvalidGraph where TFLite cannot say the graph.
    """
    if path.suffix.lower() == ".tflite":
        from milliwatt.formats.tflite_writer import write_tflite

        data = write_tflite(graph)
    else:
        data = print_graph(graph).encode()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data)


def write_file(path: Path, data: bytes) -> None:
    """Write a file at once, over an older one if there is one; MilliwattError where that fails."""
    with writing(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` (relative path -> contents) as the folder, with their checksums in SHA256SUMS.

    The folder must be new, empty, or one that this function wrote and nobody changed since: work
    in it is never overwritten. It is made under another name beside its place and renamed, so that
    a full disk or Ctrl-C leaves what was there before.
    Raises: MilliwattError where the place is taken or cannot be written.
    """
    _refuse_foreign(folder)
    sums = "".join(f"{_digest(files[name])}  {name}\n" for name in sorted(files))
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            made = work / "new"
            made.mkdir()
            for name, data in {**files, SUMS: sums.encode()}.items():
                target = made / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            if folder.exists():
                folder.rename(work / "old")
            try:
                made.rename(folder)
            except BaseException:
                if (work / "old").exists():
                    (work / "old").rename(folder)
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)


def check_file(path: Path) -> None:
    """MilliwattError where no file can be written at `path`; for before the work, not for after."""
    with writing(path):
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        _check_parent(path)


def check_folder(folder: Path) -> None:
    """MilliwattError where `write_folder` would refuse the place, as `check_file`."""
    _refuse_foreign(folder)
    with writing(folder):
        _check_parent(folder)


def _check_parent(path: Path) -> None:
    """OSError unless the nearest folder that exists above `path` may be written to."""
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(above, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _refuse_foreign(folder: Path) -> None:
    """Raise unless the folder is absent, empty, or exactly what its SHA256SUMS lists."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise MilliwattError(f"{folder}: is a file; a folder to write wanted")
    with writing(folder):
        found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
        sums = found.pop(SUMS, None)
        listed = dict(_listed(sums.read_text(encoding="utf-8"))) if sums else {}
        for name in sorted(found):
            if listed.get(name) != _digest(found[name].read_bytes()):
                state = "was changed" if name in listed else "is not from milliwatt"
                raise MilliwattError(f"{folder}: {name} {state}; a new or empty folder wanted")


def _listed(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """While the block writes `path`, the system's errors become a MilliwattError that names it."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MilliwattError(
            f"{path}: cannot be written ({reason}); nothing was left behind"
        ) from None
