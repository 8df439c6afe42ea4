"""The files a fuzz job starts from, and those it keeps because they took a way of their own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path

from bench import fuzz_bytes, fuzz_tree
from bench.fuzz_seeds import generated

# Larger files are left out: they would spend the time on their weights.
MAX_BYTES = 400_000
MIN_BYTES = 32
MAX_KEPT = 20_000
# They take ten times as long as changes of bytes, and go deeper.
TREE_SHARE = 0.2


def fill(folder: Path, more: Iterable[Path]) -> None:
    """Put the generated files into an empty corpus folder, and those found below `more`."""
    if folder.is_dir() and any(folder.glob("*.tflite")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    models = generated()
    for place in more:
        found = sorted(place.rglob("*.tflite"))
        models += [f.read_bytes() for f in found if f.stat().st_size <= MAX_BYTES]
    for model in models:
        keep(folder, model)


def keep(folder: Path, model: bytes) -> Path:
    """Write a file under the hash of its contents."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(model).hexdigest()[:20]}.tflite"
    path.write_bytes(model)
    return path


class Pool:
    """The files that mutants are made of, small ones more often; it grows by `add`."""

    def __init__(self, models: Iterable[bytes]) -> None:
        self.models: list[bytes] = []
        self._weights: list[float] = []
        self._places: dict[int, list[fuzz_bytes.Place]] = {}
        for model in models:
            self.add(model)

    def add(self, model: bytes) -> None:
        """Take a file in; one that is nearly empty or too large is left out, or if all is full."""
        if len(self.models) >= MAX_KEPT or not MIN_BYTES <= len(model) <= MAX_BYTES:
            return
        before = self._weights[-1] if self._weights else 0.0
        self._weights.append(before + 1 / (1 + len(model) / 2048) ** 1.5)
        self.models.append(model)

    def pick(self, chance: random.Random) -> int:
        """The number of a file."""
        return chance.choices(range(len(self.models)), cum_weights=self._weights)[0]

    def mutant(self, chance: random.Random) -> bytes:
        """A spoiled copy of one of the files, sometimes joined with another."""
        number = self.pick(chance)
        model = self.models[number]
        if chance.random() < TREE_SHARE and len(model) < MAX_BYTES // 10:
            changed = fuzz_tree.spoil(model, self.models[self.pick(chance)], chance)
            if changed is not None:
                return changed
        if number not in self._places:
            self._places[number] = fuzz_bytes.places(model)
        spoiled = model
        while spoiled == model:
            spoiled = fuzz_bytes.spoil(model, self._places[number], chance)
        return spoiled
