"""Operators that move values: slices, gathers, broadcasts, mirrors: attributes."""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import Attrs


@dataclass(frozen=True)
class StridedSlice(Attrs):
    """strided_slice(x): element i of each axis is element begin + i * stride of x, i < size.

    One entry an axis, every index inside the axis: nothing counts from the end, no bound is open.
    Strides may be negative.
    """

    begin: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class BroadcastTo(Attrs):
    """broadcast_to(x): axes of size 1, and axes that x does not have, repeat to `shape`."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class MirrorPad(Attrs):
    """mirror_pad(x): `paddings` is ((before, after), ...) per axis, filled with x seen in a mirror.

    The mirror stands behind the last element (`symmetric`, which repeats it) or on it.
    """

    paddings: tuple[tuple[int, int], ...]
    symmetric: bool = False


@dataclass(frozen=True)
class Gather(Attrs):
    """gather(x, indices s32 or s64): rows of x along `axis`.

    Both operands begin with the same `batch_dims` axes, each cell of which picks from itself.
    Result: x.shape[:axis] + indices.shape[batch_dims:] + x.shape[axis + 1:]. An index computed at
    run time that lies outside x is moved to the nearest end, in C too; gather_nd, which has no
    attributes, does the same on each axis.
    """

    axis: int = 0
    batch_dims: int = 0


@dataclass(frozen=True)
class ShiftIn(Attrs):
    """shift_in(buffer, fresh): the buffer's last positions along `axis`, then the fresh ones.

    As many positions leave at the start as come in: the result has the buffer's type. What the
    compiler makes of a ring buffer (a state concatenated with what is new, then cut).
    """

    axis: int


@dataclass(frozen=True)
class Resize(Attrs):
    """resize_bilinear(x [N,H,W,C]) and resize_nearest: to `size` (height, width).

    `align_corners`: the corner cells' centres fall together. `half_pixel_centers`: cells are
    squares with their centre in the middle, not at their upper left corner.
    """

    size: tuple[int, int]
    align_corners: bool = False
    half_pixel_centers: bool = False
