"""FlatBuffer objects from the leaves up: tables, vectors and strings by schema field number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np

from milliwatt.formats.tflite_write.written import Field

_SLOTS = {"b": "Int8", "B": "Uint8", "i": "Int32", "I": "Uint32", "f": "Float32", "q": "Int64"}


class FlatWriter:
    """One FlatBuffer under construction; every method gives the offset of what it built.

    Equal calls give equal bytes. An object's parts are built before it.
    """

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1 << 16)
        self._strings: dict[str, int] = {}

    def finish(self, root: int, identifier: bytes) -> bytes:
        """The whole file, which starts with the table `root`."""
        self._builder.Finish(root, identifier)
        return bytes(self._builder.Output())

    def table(self, fields: Mapping[int, Field]) -> int:
        """A table of scalars and objects; `ints` and `text` are built on the way."""
        built = {slot: self._built(field) for slot, field in fields.items()}
        b = self._builder
        b.StartObject(max(built, default=-1) + 1)
        for slot, (code, value) in built.items():
            if code == "offset":
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                # A default no value equals: every field is written, as `option 0` must be readable.
                default = math.nan if code == "f" else None
                getattr(b, f"Prepend{_SLOTS[code]}Slot")(slot, value, default)
        return int(b.EndObject())

    def _built(self, field: Field) -> Field:
        code, value = field
        if code == "ints":
            assert isinstance(value, Sequence) and not isinstance(value, str)
            return self.vector(value, "<i4")
        if code == "text":
            assert isinstance(value, str)
            return self.string(value)
        return field

    def vector(self, values: Sequence[float] | bytes, dtype: str, align: int = 4) -> Field:
        """A vector of scalars, its first element aligned to `align` bytes in the file."""
        raw = values if isinstance(values, bytes) else np.array(values, dtype).tobytes()
        b, size = self._builder, np.dtype(dtype).itemsize
        b.StartVector(size, len(raw) // size, align)
        b.head = b.Head() - len(raw)
        b.Bytes[b.head : b.head + len(raw)] = raw
        return ("offset", b.EndVector())

    def tables(self, offsets: Sequence[int]) -> Field:
        """A vector of tables."""
        b = self._builder
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return ("offset", b.EndVector())

    def string(self, text: str) -> Field:
        """A string; equal ones are written once."""
        if text not in self._strings:
            self._strings[text] = self._builder.CreateString(text)
        return ("offset", self._strings[text])
