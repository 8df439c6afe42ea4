"""Files that are slow to make and cheap to keep: objects and the emulator's counting hook."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from milliwatt.errors import MilliwattError

_KEEP = 1000
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
        # Another process may delete the same files at the same time.
        ages = {path: _age(path) for path in others}
        for path in sorted(others, key=ages.__getitem__)[: len(others) - _KEEP // 2]:
            with contextlib.suppress(OSError):
                path.unlink()


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
