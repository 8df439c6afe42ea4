"""What a value is: shape, element type and quantization. Nothing here knows about operators."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np

from milliwatt.errors import InvalidGraph


class DType(enum.Enum):
    """Element type; the value is its name in IR text, in C symbols and in reports."""

    F32 = "f32"
    F16 = "f16"
    S64 = "s64"
    S32 = "s32"
    S16 = "s16"
    S8 = "s8"
    S4 = "s4"
    U64 = "u64"
    U32 = "u32"
    U8 = "u8"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype:
        """The numpy dtype that stores one element; an s4 is an int8 from -8 to 7."""
        return _NUMPY[self]

    @property
    def itemsize(self) -> int:
        """Bytes of one element of an array; two s4 share a byte in files and in flash."""
        return self.numpy.itemsize

    @property
    def bits(self) -> int:
        """Bits of one element where it is stored densely."""
        return 4 if self is DType.S4 else 8 * self.itemsize

    @property
    def is_float(self) -> bool:
        """True for floating-point types."""
        return self in (DType.F32, DType.F16)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer the type holds."""
        if self is DType.S4:
            return -8, 7
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)

    def __str__(self) -> str:
        return self.value


_NUMPY: dict[DType, np.dtype] = {
    DType.F32: np.dtype(np.float32),
    DType.F16: np.dtype(np.float16),
    DType.S64: np.dtype(np.int64),
    DType.S32: np.dtype(np.int32),
    DType.S16: np.dtype(np.int16),
    DType.S8: np.dtype(np.int8),
    DType.S4: np.dtype(np.int8),
    DType.U64: np.dtype(np.uint64),
    DType.U32: np.dtype(np.uint32),
    DType.U8: np.dtype(np.uint8),
    DType.BOOL: np.dtype(np.bool_),
}


def dtype_of(array: np.ndarray) -> DType:
    """The DType that stores `array`, s8 for int8; InvalidGraph for an element type with none."""
    for dtype, stored in _NUMPY.items():
        if stored == array.dtype:
            return dtype
    raise InvalidGraph(f"array is {array.dtype}; one of {', '.join(map(str, _NUMPY))} wanted")


@dataclass(frozen=True)
class Quant:
    """Affine quantization: real = scale * (q - zero_point).

    Per tensor: one scale, one zero point, `axis` None. Per axis: one of each for every index of
    `axis`. Scales are float32 values held as Python floats (TFLite stores float32).
    Source: TensorFlow Lite 8-bit quantization specification.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if len(self.scale) != len(self.zero_point) or not self.scale:
            raise InvalidGraph(
                f"quantization has {len(self.scale)} scales and {len(self.zero_point)} "
                "zero points; one of each per channel wanted"
            )
        if any(not math.isfinite(s) or s <= 0 for s in self.scale):
            bad = next(s for s in self.scale if not math.isfinite(s) or s <= 0)
            raise InvalidGraph(f"quantization scale is {bad}; a finite number above 0 wanted")
        if self.axis is None and len(self.scale) != 1:
            raise InvalidGraph(f"per-tensor quantization has {len(self.scale)} scales; 1 wanted")

    @staticmethod
    def per_tensor(scale: float, zero_point: int = 0) -> Quant:
        """One scale and zero point for the whole tensor; the scale is rounded to float32."""
        return Quant((float(np.float32(scale)),), (int(zero_point),))

    @staticmethod
    def per_axis(scales: np.ndarray, axis: int) -> Quant:
        """Symmetric quantization with one scale per index of `axis`; `scales` is f32 [channels]."""
        values = tuple(float(np.float32(s)) for s in scales)
        return Quant(values, (0,) * len(values), axis)

    @property
    def scales(self) -> np.ndarray:
        """The scales as f32 [channels]."""
        return np.asarray(self.scale, np.float32)

    def __str__(self) -> str:
        scales = ", ".join(repr(s) for s in self.scale)
        points = ", ".join(str(z) for z in self.zero_point)
        return f"q([{scales}], [{points}], {self.axis})"


@dataclass(frozen=True)
class Type:
    """Shape (NHWC activations, OHWI conv weights), element type and quantization of a value."""

    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes the value takes in memory, unpadded."""
        return -(-self.size * self.dtype.bits // 8)

    @property
    def scale(self) -> float:
        """The per-tensor scale; 1.0 where the value is not quantized."""
        return self.quant.scale[0] if self.quant else 1.0

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point; 0 where the value is not quantized."""
        return self.quant.zero_point[0] if self.quant else 0

    def __str__(self) -> str:
        dims = ",".join(str(d) for d in self.shape)
        return f"{self.dtype}[{dims}]" + (f" {self.quant}" if self.quant else "")

    @property
    def short(self) -> str:
        """Type without quantization, for error messages: `s8[1,49,10,1]`."""
        return f"{self.dtype}[{','.join(str(d) for d in self.shape)}]"
