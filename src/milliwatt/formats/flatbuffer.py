"""Bounds-checked reading of FlatBuffers; the file is never trusted.

Every position is compared with the file's length before it is read, and every byte read is counted
against a budget of READS times the file, so that a hostile file that points at the same bytes again
and again ends in ImportFailed instead of filling memory or time. Nothing here recurses.
Source: the FlatBuffers binary format ("FlatBuffer Internals").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from milliwatt.errors import ImportFailed

# Honest files are read once to twice; buffers that tensors share make it a few times.
READS = 8

_SCALARS = {code: struct.Struct("<" + code) for code in "bBhHiIqQf"}


class FlatBuffer:
    """The bytes of one file and what may still be read of them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._size = len(data)
        self._budget = READS * len(data) + 4096

    def spend(self, at: int, count: int) -> None:
        """Check that `count` bytes at offset `at` lie in the file and count them as read."""
        if at < 0 or at + count > len(self.data):
            raise ImportFailed(
                f"offset {at}: {count} bytes wanted, the file ends at {len(self.data)}; "
                "it is truncated or damaged"
            )
        self._budget -= count
        if self._budget < 0:
            raise ImportFailed(
                f"offset {at}: the file refers to the same bytes more than {READS} times over; "
                "it is damaged or hostile"
            )

    def number(self, at: int, code: str) -> int | float:
        """The little-endian scalar of struct code `code` at offset `at`."""
        kind = _SCALARS[code]
        self.spend(at, kind.size)
        value: int | float = kind.unpack_from(self.data, at)[0]
        return value

    def integer(self, at: int, code: str) -> int:
        """`number` where the code is an integer's."""
        kind = _SCALARS[code]
        # `spend` without a call: this is what most of a read is.
        if at < 0 or at + kind.size > self._size or kind.size > self._budget:
            self.spend(at, kind.size)
        self._budget -= kind.size
        value: int = kind.unpack_from(self.data, at)[0]
        return value

    def follow(self, at: int) -> int:
        """The offset that the relative offset stored at `at` points to."""
        step = self.integer(at, "I")
        if step == 0:
            raise ImportFailed(f"offset {at}: an offset of 0 points at itself; the file is damaged")
        return at + step

    def root(self) -> Table:
        """The table the file starts with."""
        return Table(self, self.follow(0))


class Table:
    """One table: fields by number, absent fields read as their default."""

    __slots__ = ("_fields", "_vtable", "at", "buffer")

    def __init__(self, buffer: FlatBuffer, at: int) -> None:
        self.buffer = buffer
        self.at = at
        self._vtable = at - buffer.integer(at, "i")
        size = buffer.integer(self._vtable, "H")
        if size < 4 or size % 2:
            raise ImportFailed(
                f"offset {self._vtable}: a vtable of {size} bytes; the file is damaged"
            )
        buffer.spend(self._vtable, size)
        self._fields = (size - 4) // 2

    def _position(self, field: int) -> int | None:
        """Offset of a field's value, None where the table does not have it."""
        if field >= self._fields:
            return None
        # Inside the vtable, whose bytes were counted when it was found.
        slot = self._vtable + 4 + 2 * field
        step = self.buffer.data[slot] | self.buffer.data[slot + 1] << 8
        return self.at + step if step else None

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """An integer field of struct code `code`."""
        at = self._position(field)
        return default if at is None else self.buffer.integer(at, code)

    def real(self, field: int, default: float = 0.0) -> float:
        """A float32 field."""
        at = self._position(field)
        return default if at is None else float(self.buffer.number(at, "f"))

    def table(self, field: int) -> Table | None:
        """A sub-table, None where absent."""
        at = self._position(field)
        return None if at is None else Table(self.buffer, self.buffer.follow(at))

    def _vector(self, field: int, itemsize: int) -> tuple[int, int]:
        """Offset of the first element and number of elements; both 0 where the field is absent."""
        at = self._position(field)
        if at is None:
            return 0, 0
        start = self.buffer.follow(at)
        count = self.buffer.integer(start, "I")
        if count * itemsize > len(self.buffer.data) - start - 4:
            raise ImportFailed(
                f"offset {start}: a vector of {count} elements of {itemsize} bytes runs past "
                f"the end of the file at {len(self.buffer.data)}; it is truncated or damaged"
            )
        return start + 4, count

    def length(self, field: int, itemsize: int = 4) -> int:
        """Elements of a vector field, 0 where absent; reads none of them."""
        return self._vector(field, itemsize)[1]

    def array(self, field: int, dtype: str) -> np.ndarray:
        """A vector of scalars as a read-only view of the file, [0] where absent."""
        kind = np.dtype(dtype)
        start, count = self._vector(field, kind.itemsize)
        self.buffer.spend(start, count * kind.itemsize)
        return np.frombuffer(self.buffer.data, kind, count, start)

    def integers(self, field: int) -> tuple[int, ...]:
        """A vector of int32 as a tuple, () where absent."""
        start, count = self._vector(field, 4)
        self.buffer.spend(start, 4 * count)
        return struct.unpack_from(f"<{count}i", self.buffer.data, start)

    def string(self, field: int, limit: int = 512) -> str:
        """A string, cut at `limit` bytes; bytes that are no UTF-8 become U+FFFD."""
        start, count = self._vector(field, 1)
        count = min(count, limit)
        self.buffer.spend(start, count)
        return self.buffer.data[start : start + count].decode("utf-8", "replace")

    def item(self, field: int, index: int) -> Table:
        """Element `index` (0 <= index < length) of a vector of tables."""
        start, _ = self._vector(field, 4)
        return Table(self.buffer, self.buffer.follow(start + 4 * index))

    def items(self, field: int) -> Iterator[Table]:
        """The elements of a vector of tables; each must be a table of its own."""
        seen: set[int] = set()
        for index in range(self.length(field)):
            table = self.item(field, index)
            if table.at in seen:
                raise ImportFailed(
                    f"offset {table.at}: element {index} of a vector is the table of an earlier "
                    "one; the file is damaged"
                )
            seen.add(table.at)
            yield table
