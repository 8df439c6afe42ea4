"""Files that are slow to make and cheap to keep: objects and the emulator's counting hook."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from milliwatt.errors import MilliwattError

_KEEP = 3000
_IN_USE_S = 3600
"""Files touched within this time stay: another process may be about to link them."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What compilers and zig's own cache say on a full disk or a used-up quota.
_SAYS_FULL = re.compile(r"no ?space ?left|disk ?quota|quota exceeded", re.IGNORECASE)


def cache_dir() -> Path:
    """The per-user cache folder, absolute; the environment variable MILLIWATT_CACHE overrides it.

    Absolute, because compilers run in a folder of their own.
    """
    override = os.environ.get("MILLIWATT_CACHE")
    if override:
        return Path(os.path.expanduser(override)).absolute()
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")
        return Path(local) / "milliwatt" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "milliwatt"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "milliwatt"


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder to build in; where its disk is full, MilliwattError says so in one line.

    It takes what the cache cannot hold, so only a full disk here stops a build.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="milliwatt-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise MilliwattError(
            f"{tempfile.gettempdir()}: no space left to build in; free some, or set TMPDIR to a "
            f"folder with room (and MILLIWATT_CACHE, now {cache_dir()}, if it is full too)"
        ) from None


def says_full(text: str) -> bool:
    """Whether a compiler's messages are about a full disk."""
    return bool(_SAYS_FULL.search(text))


def key(*parts: str) -> str:
    """A file name that stands for the given texts: equal texts, equal name."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def cached(name: str, build: Callable[[Path], None], work: Path) -> Path:
    """Return a file made by `build(path)`, from the cache if it is there, else made now and kept.

    `name` is its cache key with a suffix. A cache that cannot be read or written is passed over:
    the file is then made in the folder `work`, so its owner decides how long it lives.
    """
    kept = cache_dir() / "objects" / name
    with contextlib.suppress(OSError):
        if kept.is_file():
            os.utime(kept)
            return kept
    made = work / name
    build(made)
    with contextlib.suppress(OSError):
        _keep(made, kept)
        return kept
    return made


def _keep(made: Path, kept: Path) -> None:
    """Copy a file into the cache so that a reader never sees half of it; drop the oldest files."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=kept.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(made.read_bytes())
        os.replace(temporary, kept)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    others = list(kept.parent.iterdir())
    if len(others) > _KEEP:
        touched = {path: _touched(path) for path in others}
        for path in sorted(others, key=touched.__getitem__)[: len(others) - _KEEP // 2]:
            # Another process may touch or delete the same files at the same time.
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _IN_USE_S:
                    path.unlink()


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
