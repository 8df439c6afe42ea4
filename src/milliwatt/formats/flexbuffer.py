"""Bounds-checked reading of FlexBuffers maps: the options of TFLite's custom operators.

Nothing in the bytes is trusted: every position is checked before it is read, values inside values
go DEPTH deep at most, and the number of values read is bounded by the number of bytes, so that
bytes that point at themselves end in ImportFailed. Source: "FlexBuffers" in the documentation of
FlatBuffers, section "FlexBuffers encoding" of its internals.
"""

from __future__ import annotations

import math
import struct

from milliwatt.errors import ImportFailed

Custom = int | float | bool | str | list["Custom"] | dict[str, "Custom"] | None
"""A value of a FlexBuffers map."""

DEPTH = 4

# Type numbers of the encoding.
_NULL, _INT, _UINT, _FLOAT, _KEY, _STRING = 0, 1, 2, 3, 4, 5
_INDIRECT = {6: _INT, 7: _UINT, 8: _FLOAT}
_MAP, _VECTOR = 9, 10
_TYPED = {11: _INT, 12: _UINT, 13: _FLOAT, 14: _KEY, 15: _STRING, 36: 26}
# Vectors of 2, 3 and 4 numbers hold no length: type number -> (type of elements, count).
_FIXED = {
    16 + 3 * (count - 2) + at: (kind, count)
    for count in (2, 3, 4)
    for at, kind in enumerate((_INT, _UINT, _FLOAT))
}
_BLOB, _BOOL = 25, 26
_CODES = {
    _INT: {1: "b", 2: "h", 4: "i", 8: "q"},
    _UINT: {1: "B", 2: "H", 4: "I", 8: "Q"},
    _FLOAT: {2: "e", 4: "f", 8: "d"},
    _BOOL: {1: "B", 2: "H", 4: "I", 8: "Q"},
}


def read_flexbuffer_map(data: bytes) -> dict[str, Custom]:
    """The map that `data` holds, {} for no bytes; ImportFailed with the offset where it is broken.

    Integers, floats (NaN and infinity are refused), booleans, strings, vectors of them and maps
    inside maps; a blob is refused.
    """
    if not data:
        return {}
    value = _FlexBuffer(data).root()
    if not isinstance(value, dict):
        raise ImportFailed(f"FlexBuffers root is {type(value).__name__}; a map wanted")
    return value


class _FlexBuffer:
    """The bytes and how many values may still be read of them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = 4 * len(data)

    def root(self) -> Custom:
        """The value that the last three bytes describe."""
        size = len(self._data)
        if size < 3:
            raise ImportFailed(f"{size} bytes; a FlexBuffers map of 3 or more wanted")
        width, packed = self._data[-1], self._data[-2]
        if width not in (1, 2, 4, 8):
            raise ImportFailed(f"offset {size - 1}: a root of {width} bytes; 1, 2, 4 or 8 wanted")
        return self._value(size - 2 - width, width, packed, 0)

    def _number(self, at: int, width: int, kind: int) -> int | float:
        code = _CODES[kind].get(width)
        if code is None or at < 0 or at + width > len(self._data):
            raise ImportFailed(
                f"offset {at}: {width} bytes of a number wanted; there are {len(self._data)} bytes"
            )
        self._left -= 1
        if self._left < 0:
            raise ImportFailed(f"offset {at}: values that refer to each other; damaged or hostile")
        found: int | float = struct.unpack_from("<" + code, self._data, at)[0]
        if isinstance(found, float) and not math.isfinite(found):
            raise ImportFailed(f"offset {at}: the number {found}; a finite one wanted")
        return found

    def _follow(self, at: int, width: int) -> int:
        """The offset that the (backward) offset stored at `at` points to."""
        step = int(self._number(at, width, _UINT))
        if not 0 <= step <= at:
            raise ImportFailed(f"offset {at}: an offset of {step} back; 0 to {at} wanted")
        return at - step

    def _value(self, at: int, width: int, packed: int, depth: int) -> Custom:
        """The value at `at`, in `width` bytes: itself or an offset; `packed`: type and width."""
        kind, child = packed >> 2, 1 << (packed & 3)
        if kind == _NULL:
            return None
        if kind in (_INT, _UINT, _FLOAT):
            return self._number(at, width, kind)
        if kind == _BOOL:
            return bool(self._number(at, width, kind))
        if depth >= DEPTH:
            raise ImportFailed(f"offset {at}: values more than {DEPTH} deep")
        if kind in _INDIRECT:
            return self._number(self._follow(at, width), child, _INDIRECT[kind])
        if kind == _KEY:
            return self._key(self._follow(at, width))
        if kind == _STRING:
            start = self._follow(at, width)
            return self._text(start, int(self._number(start - child, child, _UINT)))
        if kind == _MAP:
            return self._map(self._follow(at, width), child, depth)
        if kind == _VECTOR or kind in _TYPED or kind in _FIXED:
            return self._vector(self._follow(at, width), child, kind, depth)
        raise ImportFailed(f"offset {at}: a value of type {kind}; numbers, text and lists wanted")

    def _text(self, start: int, count: int) -> str:
        if start + count > len(self._data):
            raise ImportFailed(
                f"offset {start}: text of {count} bytes; there are {len(self._data)} bytes"
            )
        self._left -= count
        if self._left < 0:
            raise ImportFailed(f"offset {start}: the same text again and again; hostile")
        return self._data[start : start + count].decode("utf-8", "replace")

    def _key(self, start: int) -> str:
        end = self._data.find(b"\0", start)
        if end < 0:
            raise ImportFailed(f"offset {start}: a key without an end")
        return self._text(start, end - start)

    def _count(self, start: int, width: int, size_at: int) -> int:
        """Number of elements of `width` bytes from `start` on."""
        count = int(self._number(size_at, width, _UINT))
        if count * width > len(self._data) - start:
            raise ImportFailed(
                f"offset {size_at}: {count} elements of {width} bytes; "
                f"there are {len(self._data)} bytes"
            )
        return count

    def _vector(self, start: int, width: int, kind: int, depth: int) -> list[Custom]:
        if kind in _FIXED:
            element, count = _FIXED[kind]
        else:
            element = _TYPED.get(kind, -1)
            count = self._count(start, width, start - width)
        # Elements of an untyped vector have a type byte each, behind the last of them.
        types = start + count * width
        values: list[Custom] = []
        for index in range(count):
            packed = self._packed(types + index) if element < 0 else element << 2
            values.append(self._value(start + index * width, width, packed, depth + 1))
        return values

    def _packed(self, at: int) -> int:
        return int(self._number(at, 1, _UINT))

    def _map(self, start: int, width: int, depth: int) -> dict[str, Custom]:
        """A map is an untyped vector of values behind the offset and width of its keys."""
        if self._count(start, width, start - width) == 0:
            return {}
        keys = self._follow(start - 3 * width, width)
        key_width = int(self._number(start - 2 * width, width, _UINT))
        if key_width not in (1, 2, 4, 8):
            raise ImportFailed(f"offset {start - 2 * width}: keys of {key_width} bytes")
        count = self._count(start, width, start - width)
        found: dict[str, Custom] = {}
        for index in range(count):
            name = self._key(self._follow(keys + index * key_width, key_width))
            packed = self._packed(start + count * width + index)
            found[name] = self._value(start + index * width, width, packed, depth + 1)
        return found
