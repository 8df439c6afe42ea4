"""Spoiled copies of good .tflite files: each must be read or refused by name, in time."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.flatbuffer import FlatBuffer
from milliwatt.formats.tflite import read_tflite
from support.effort import cpu_seconds

WORDS = (0, 1, 2, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
SECONDS_A_FILE = 2.0


def structure(model: bytes, patch: pytest.MonkeyPatch) -> np.ndarray:
    """Offsets of the bytes that steer a read: all it touches but the contents of large buffers."""
    touched = np.zeros(len(model), bool)
    honest, number = FlatBuffer.spend, FlatBuffer.integer

    def recording(self: FlatBuffer, at: int, count: int) -> None:
        honest(self, at, count)
        if count <= 64:
            touched[at : at + count] = True

    def recording_number(self: FlatBuffer, at: int, code: str) -> int:
        touched[at : at + struct.calcsize(code)] = True
        return number(self, at, code)

    with patch.context() as scope:
        scope.setattr(FlatBuffer, "spend", recording)
        scope.setattr(FlatBuffer, "integer", recording_number)
        # The audio front ends hold custom operators; what was read up to them counts.
        with contextlib.suppress(UnsupportedOp):
            read_tflite(model)
    return np.flatnonzero(touched)


def mutants(model: bytes, places: np.ndarray, count: int, seed: int) -> Iterator[bytes]:
    """`count` spoiled copies of `model`."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        spoiled = bytearray(model)
        for _ in range(int(rng.choice([1, 1, 2, 5]))):
            anywhere = rng.random() < 0.05
            at = int(rng.integers(len(model)) if anywhere else rng.choice(places))
            match int(rng.integers(4)):
                case 0:
                    spoiled[at] ^= 1 << int(rng.integers(8))
                case 1:
                    spoiled[at] = int(rng.integers(256))
                case 2:
                    word = int(rng.choice([*WORDS, len(model), at]))
                    at = min(at & ~3, len(model) - 4)
                    spoiled[at : at + 4] = struct.pack("<I", word)
                case 3:
                    source = int(rng.choice(places)) & ~3
                    spoiled[at & ~3 : (at & ~3) + 4] = model[source : source + 4]
        if rng.random() < 0.05:
            del spoiled[int(rng.integers(len(spoiled))) :]
        yield bytes(spoiled)


def _refusal(model: bytes) -> str:
    """Why a file is refused; "" for one that is read."""
    try:
        read_tflite(model)
    except (ImportFailed, UnsupportedOp) as error:
        return str(error)
    return ""


def survive(model: bytes, count: int, seed: int, patch: pytest.MonkeyPatch) -> float:
    """Read `count` mutants; the share that was refused."""
    refused = 0
    for number, mutant in enumerate(mutants(model, structure(model, patch), count, seed)):
        try:
            took, refusal = cpu_seconds(partial(_refusal, mutant), SECONDS_A_FILE)
        except Exception as error:
            raise AssertionError(f"mutant {number} of seed {seed}: {error!r}") from error
        refused += bool(refusal)
        assert "\n" not in refusal
        assert took < SECONDS_A_FILE, f"mutant {number} of seed {seed} took {took:.1f} s"
    return refused / count
