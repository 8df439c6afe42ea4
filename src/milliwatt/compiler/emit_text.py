"""Numbers, names and comments as C text."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.types import DType, dtype_of

C_TYPES = {
    DType.F32: "float",
    DType.F16: "uint16_t",  # its bits: C99 has no such type
    DType.S64: "int64_t",
    DType.S32: "int32_t",
    DType.S16: "int16_t",
    DType.S8: "int8_t",
    DType.S4: "uint8_t",  # two to a byte, the first in the low four bits
    DType.U64: "uint64_t",
    DType.U32: "uint32_t",
    DType.U8: "uint8_t",
    DType.BOOL: "uint8_t",
}


def c_literal(value: int | float, dtype: DType) -> str:
    """A literal that reads back as exactly `value`."""
    if dtype is DType.F32:
        text = repr(float(str(np.float32(value))))
        return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
    if dtype is DType.S32 and value == -(2**31):
        return "INT32_MIN"
    if dtype is DType.S64 and value == -(2**63):
        return "INT64_MIN"
    wide = {DType.U32: "u", DType.U64: "ull"}.get(dtype, "")
    return f"{int(value)}{wide}"


def stored(value: np.ndarray, dtype: DType | None = None) -> np.ndarray:
    """A constant as C holds it, flat: f16 by its bits, s4 two to a byte, all else as it is.

    `dtype` is wanted where the array does not say it: s4 values come as int8.
    """
    flat = value.reshape(-1)
    if flat.dtype == np.float16:
        return flat.view(np.uint16)
    if dtype is DType.S4:
        nibbles = np.append(flat, np.zeros(flat.size % 2, np.int8)).astype(np.uint8) & 15
        packed: np.ndarray = nibbles[0::2] | nibbles[1::2] << 4
        return packed
    return flat


def c_array(values: np.ndarray) -> tuple[str, list[str]]:
    """The C element type and the literals of a stored constant."""
    if values.dtype == np.uint16:  # no type of the IR: bits of f16, packed tables
        return "uint16_t", [str(v) for v in values.tolist()]
    dtype = dtype_of(values)
    return C_TYPES[dtype], [c_literal(v, dtype) for v in values.tolist()]


def plain(text: str) -> str:
    """Text that is safe inside a C comment."""
    return text.replace("*/", "* /").replace("/*", "/ *")
