"""FlexBuffers maps: the options of custom operators, honest and spoiled."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

from milliwatt.errors import ImportFailed
from milliwatt.formats.flexbuffer import read_flexbuffer_map


def packed(value: dict[str, Any]) -> bytes:
    """`value` as FlatBuffers' own package writes it."""
    return bytes(flexbuffers.Dumps(value))


HONEST: list[dict[str, Any]] = [
    {},
    {"shift": 3},
    {"a": -1, "b": 200, "c": 70_000, "d": -(2**40)},
    {"beta": 0.5, "third": 1 / 3, "on": True, "off": False},
    {"name": "window", "empty": ""},
    {"list": [1, 2, 3], "mixed": [1, 0.5, "x", True], "deep": {"y": [4, -5]}},
    {"long": list(range(300)), "text": "é" * 300},
]


@pytest.mark.parametrize("value", HONEST)
def test_what_the_package_writes_is_read(value: dict[str, Any]) -> None:
    assert read_flexbuffer_map(packed(value)) == value


def test_typed_and_fixed_vectors_and_indirect_numbers() -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("typed")
        builder.TypedVectorFromElements([1, 2, 3, 4, 5])
        builder.Key("fixed")
        builder.FixedTypedVectorFromElements([1.5, 2.5, 3.5])
        builder.Key("far")
        builder.IndirectInt(-300)
    wanted = {"typed": [1, 2, 3, 4, 5], "fixed": [1.5, 2.5, 3.5], "far": -300}
    assert read_flexbuffer_map(bytes(builder.Finish())) == wanted


def test_no_bytes_are_no_options() -> None:
    assert read_flexbuffer_map(b"") == {}


BROKEN: list[tuple[bytes, str]] = [
    (b"\1", "1 bytes"),
    (b"\5\4\1", "root is int; a map wanted"),
    (b"\5\4\3", "offset 2: a root of 3 bytes"),
    (b"\0\x24\1", "offset -1: 1 bytes of a number wanted"),
    (b"\1\x24\1", "offset 0: an offset of 1 back"),
    (bytes(flexbuffers.Dumps({"x": float("nan")})), "a finite one wanted"),
    (bytes(flexbuffers.Dumps({"x": [[[[[1]]]]]})), "more than 4 deep"),
    (bytes(flexbuffers.Dumps({"x": b"raw"})), "a value of type 25"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_what_is_broken_is_named(data: bytes, message: str) -> None:
    with pytest.raises(ImportFailed, match=message):
        read_flexbuffer_map(data)


def test_values_that_refer_to_each_other_end() -> None:
    """Lists of 100 elements that are all one list of 100 elements, and so on: 1,000,000 values."""
    data = bytearray(struct.pack("<H", 100) + bytes(200))
    start, kind = 2, 11  # the elements' offset; a vector of integers
    for _ in range(2):
        data += struct.pack("<H", 100)
        goal, start = start, len(data)
        for _ in range(100):
            data += struct.pack("<H", len(data) - goal)
        data += bytes([kind << 2 | 1] * 100)
        kind = 10  # a vector of values of any type
    data += b"x\0"
    keys = len(data) + 2
    data += struct.pack("<HH", 1, keys - (keys - 4)) + struct.pack("<HHH", 2, 2, 1)
    data += struct.pack("<H", len(data) - start) + bytes([kind << 2 | 1])
    data += struct.pack("<H", 3) + bytes([9 << 2 | 1, 2])
    with pytest.raises(ImportFailed, match="refer to each other"):
        read_flexbuffer_map(bytes(data))


def test_spoiled_bytes_are_read_or_refused() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for data in (packed(value) for value in HONEST if value):
        for _ in range(400):
            spoiled = bytearray(data)
            for at in rng.integers(0, len(data), int(rng.integers(1, 4))):
                spoiled[at] = int(rng.integers(256))
            try:
                read_flexbuffer_map(bytes(spoiled[: int(rng.integers(1, len(data) + 1))]))
            except ImportFailed as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 500
