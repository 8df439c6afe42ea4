"""Files that are slow to make and cheap to keep: objects and the emulator's counting hook."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_KEEP = 1000


def cache_dir() -> Path:
    """The per-user cache folder; the environment variable MILLIWATT_CACHE overrides it."""
    override = os.environ.get("MILLIWATT_CACHE")
    if override:
        return Path(override)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")
        return Path(local) / "milliwatt" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "milliwatt"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "milliwatt"


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
