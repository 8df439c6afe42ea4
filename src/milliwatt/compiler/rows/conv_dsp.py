"""Rows of the convolutions for the DSP extension, and how their weights are packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from milliwatt.compiler.rows.channel_steps import LIMIT, ChannelSteps, channel_steps
from milliwatt.compiler.rows.results import s8_bounds, window_fields
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import Conv2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import is_plain

PAIR_LIMIT = 2**23
"""Sums of the even channels of pairs stay below it: kernels compute 256 times them."""
COPIES = (2048, 4096, 8192, 16384)
"""Bytes of RAM that weights may be copied to."""
COLUMN_BYTES = 2048
"""Bytes of columns that are made at a time, where they are not longer."""
KEPT_BYTES = 8192
"""Bytes of columns of all pixels that may be kept for every chunk of weights."""
KEPT_COPIES = (2048, 4096)
"""Bytes of RAM that weights are copied to beside kept columns."""
FEW_PIXELS = 15
"""Weights that are read for fewer pixels stay in flash."""


def lane_order(kernel: tuple[int, int], channels: int, dilation_w: int) -> np.ndarray:
    """The order of a window's products [KH * KW * C] in a column: kernels/mw_gemm_dsp.h.

    Runs are the kernel's rows, or its cells where it is dilated sideways. Their whole fours come
    first, as SXTB16 widens them, then what is left of them.
    """
    cells = np.arange(kernel[0] * kernel[1] * channels).reshape(*kernel, channels)
    runs = cells.reshape(1, kernel[0], -1) if dilation_w == 1 else cells.transpose(1, 0, 2)
    whole = runs.shape[2] & ~3
    fours = runs[:, :, :whole].reshape(-1, 2, 2).transpose(0, 2, 1)
    return np.concatenate([fours.reshape(-1), runs[:, :, whole:].reshape(-1)])


def pack(rows: np.ndarray, steps: ChannelSteps) -> np.ndarray:
    """Weights s8 [channels, products], in the order of lanes, as words: kernels/mw_gemm_dsp.h."""
    channels, products = rows.shape
    lanes = np.zeros((channels, products + (products & 1)), np.int32)
    lanes[:, :products] = rows
    even = channels & ~1
    pairs = (256 * lanes[0:even:2] + lanes[1:even:2]).astype(np.int16)
    words = np.ascontiguousarray(pairs).view("<i4")
    first = steps.records[:, 0].astype(np.int64)
    start = np.stack([256 * first[0:even:2] + first[1:even:2], first[1:even:2]], axis=1)
    start = start.astype(np.int32)
    constants = steps.records[:, 1 : 2 + steps.steps].copy()
    if steps.steps == 1:
        constants[0:even:2, 1] *= 256
    parts: list[np.ndarray] = []
    for pair in range(0, even // 2, 2):
        some = slice(pair, min(pair + 2, even // 2))
        parts += [start[some].reshape(-1), words[some].T.reshape(-1)]
        parts.append(constants[2 * some.start : 2 * some.stop].reshape(-1))
    if channels & 1:
        plain = np.zeros((products + 3) & ~3, np.int8)
        plain[:products] = rows[-1]
        plain = np.ascontiguousarray(plain.reshape(-1, 2, 2).transpose(0, 2, 1)).reshape(-1)
        parts += [steps.records[-1:, 0], plain.view("<i4"), constants[-1]]
    return np.concatenate(parts).astype(np.int32)


@dataclass(frozen=True, eq=False)
class _Window:
    """The convolution that a node is: attributes, weights [O, KH, KW, C] and their axis of O."""

    attrs: Conv2d
    weight: np.ndarray
    axis: int

    @property
    def direct(self) -> bool:
        """Whether output pixels are input pixels."""
        return self.weight.shape[1:3] == (1, 1) and self.attrs.stride == (1, 1) and not self.padded

    @property
    def padded(self) -> bool:
        """Whether windows leave the image."""
        return any(self.attrs.padding)

    @property
    def products(self) -> int:
        """Products of an output, an odd number with one more of weight 0."""
        return int(self.weight[0].size + 1) & ~1


def _window(node: Node) -> _Window:
    assert isinstance(node.attrs, Conv2d)
    axis = 0 if node.op is Op.CONV2D else 3
    weight = node.src[1].value
    if axis:
        weight = weight.transpose(3, 1, 2, 0)
    attrs = node.attrs
    if weight.shape[2] == 1:
        attrs = attrs.__class__(**{**vars(attrs), "dilation": (attrs.dilation[0], 1)})
    return _Window(attrs, weight, axis)


def _steps(node: Node) -> ChannelSteps | None:
    window = _window(node)
    channels = np.arange(window.weight.shape[0])
    paired = (channels % 2 == 0) & (channels + 1 < len(channels))
    limits = np.where(paired, PAIR_LIMIT, LIMIT)
    return channel_steps(node, window.attrs, node.type, window.axis, limits)


def fits(node: Node) -> bool:
    """Whether the kernel runs a convolution: constant symmetric weights that pairs can hold."""
    if not is_plain(node.op, node.src[0].type, node.src[1].type):
        return False
    if not all(s.is_constant for s in node.src[1:]):
        return False
    if node.op is Op.DEPTHWISE_CONV2D and node.src[0].type.shape[3] != 1:
        return False
    window = _window(node)
    if window.weight[0].size < 2:
        return False
    rows = window.weight.reshape(len(window.weight), -1)
    even = len(rows) & ~1
    if ((rows[0:even:2] == -128) & (rows[1:even:2] < 0)).any():
        return False
    return _steps(node) is not None


def _block_words(node: Node) -> int:
    steps = _steps(node)
    assert steps is not None
    return 4 * (steps.steps + 2) + _window(node).products


def _words(node: Node) -> int:
    """Words of the packed weights."""
    window, steps = _window(node), _steps(node)
    assert steps is not None
    channels, products = int(window.weight.shape[0]), window.products
    words = channels // 4 * _block_words(node)
    if channels & 2:
        words += 2 + products // 2 + 2 * (steps.steps + 1)
    if channels & 1:
        words += 1 + (products + 3) // 4 + steps.steps + 1
    return words


def _chunk(node: Node, most: int) -> int:
    """Blocks of four channels whose weights fit `most` bytes, 0 where none does; those of all
    channels where all fit."""
    blocks = node.type.shape[3] // 4
    if 4 * _words(node) <= most:
        return max(blocks, 1)
    rest = _words(node) - blocks * _block_words(node)
    return max(most // 4 - rest, 0) // _block_words(node)


def _pair_bytes(window: _Window) -> int:
    return 4 * window.products


def _all_pairs(node: Node) -> int:
    """Pairs of pixels, the last one perhaps of one."""
    return (node.type.size // node.type.shape[3] + 1) // 2


def _pairs(node: Node, window: _Window, keep: bool) -> int:
    """Pairs of columns that are made at a time; `keep`: all."""
    every = _all_pairs(node)
    return every if keep else max(1, min(COLUMN_BYTES // _pair_bytes(window), every))


def _row_bytes(node: Node, window: _Window) -> int:
    """Bytes of the kernel's padded rows."""
    kernel_h, kernel_w, channels = window.weight.shape[1:]
    attrs = window.attrs
    width = (node.type.shape[2] - 1) * attrs.stride[1] + (kernel_w - 1) * attrs.dilation[1] + 1
    return kernel_h * (int(width * channels + 3) & ~3) + 3 if window.padded else 0


def lower_conv2d_s8_dsp(node: Node, copy: int, keep: bool = False) -> Lowered:
    """conv2d; `copy` bytes of RAM for weights, 0 to read them from flash; `keep` all columns."""
    window, steps = _window(node), _steps(node)
    assert steps is not None
    kernel_h, kernel_w, channels = window.weight.shape[1:]
    rows = window.weight.reshape(len(window.weight), -1)
    order = lane_order((kernel_h, kernel_w), channels, window.attrs.dilation[1])
    packed, pairs = pack(rows[:, order], steps), _pairs(node, window, keep)
    blocks = node.type.shape[3] // 4
    chunk = _chunk(node, copy) if copy else max(blocks, 1)
    last = (blocks - 1) // chunk * chunk if blocks else 0
    longest = max(chunk * _block_words(node), len(packed) - last * _block_words(node))
    copied = min(longest, len(packed)) if copy else 0
    fields = (
        *_image_fields(node, window),
        ("in_zero_point", node.src[0].type.zero_point),
        *s8_bounds(node.type, window.attrs.clamp),
        ("padded", int(window.padded)),
        ("products", window.products),
        ("steps", steps.steps),
        ("pairs", pairs),
        ("chunk", chunk),
        ("copied", copied),
        ("words", len(packed)),
        ("packed", packed),
    )
    workspace = 4 * copied + pairs * _pair_bytes(window) + _row_bytes(node, window)
    return Lowered(fields, workspace, (0,))


def _image_fields(node: Node, window: _Window) -> tuple[Field, ...]:
    """The members of MW_WINDOW; where pixels are outputs, one row of all of them."""
    attrs = window.attrs
    kernel = window.weight.shape[1:3]
    fields = window_fields(node, node.type, kernel, attrs.stride, attrs.padding, attrs.dilation)
    if not window.direct:
        return fields
    pixels = node.type.size // node.type.shape[3]
    flat = {"batches": 1, "in_h": 1, "in_w": pixels, "out_h": 1, "out_w": pixels}
    return tuple((name, flat.get(name, value)) for name, value in fields)


def work(node: Node, copy: int, keep: bool = False) -> Mapping[str, float]:
    """What a call does; see Row. A step is 16 MACs, a batch the pairs that are made at a time."""
    window, words, steps = _window(node), _words(node), _steps(node)
    assert steps is not None
    kernel_h = window.weight.shape[1]
    channels = node.type.shape[3]
    pixels = node.type.size // channels
    chunk = _chunk(node, copy) if copy else channels // 4
    passes = -(-(channels // 4) // chunk) if chunk else 1
    pairs = _all_pairs(node)
    blocks = pairs * (channels // 4)
    made = 1 if pairs <= _pairs(node, window, keep) else passes  # times that columns are made
    rows = node.type.shape[0] * node.type.shape[1] * made if window.padded else 0
    overlap = window.attrs.stride[0] if window.attrs.dilation[0] == 1 else kernel_h
    return {
        "calls": 1,
        "chunks": passes,
        "batches": -(-pairs // _pairs(node, window, keep)) * passes,
        "pairs": pairs * passes,
        "runs": pixels * made * kernel_h,
        "cells": pixels * made * window.products,
        "rows": rows * min(overlap, kernel_h),
        "row_bytes": rows * _row_bytes(node, window),
        "blocks": blocks,
        "two_step_blocks": blocks * (steps.steps - 1),
        "steps": blocks * (window.products // 2),
        "left_outputs": 2 * pairs * (channels % 4),
        "left_macs": 2 * pairs * (channels % 4) * window.products,
        "copied_bytes": 4 * words if copy else 0,
        "flash_bytes": 4 * words * (1 if copy else pairs),
    }


def _copies(node: Node, copy: int, *, whole: bool) -> bool:
    """Whether `copy` bytes hold weights of some channels (`whole`: of all, read in place), and a
    smaller copy would not do the same."""
    if not fits(node) or (whole and not _window(node).direct):
        return False
    chunk = _chunk(node, copy)
    if not chunk or node.type.size // node.type.shape[3] < FEW_PIXELS:
        return False
    smaller = [c for c in COPIES if c < copy]
    if smaller and _chunk(node, smaller[-1]) == chunk:
        return False
    return (4 * _words(node) <= copy) is whole or not _window(node).direct


def _keeps(node: Node, copy: int) -> bool:
    """Whether columns of all pixels can be kept, weights beside them in several chunks."""
    if not fits(node):
        return False
    chunk, columns = _chunk(node, copy), _all_pairs(node) * _pair_bytes(_window(node))
    if not 0 < chunk < node.type.shape[3] // 4 or not COLUMN_BYTES < columns <= KEPT_BYTES:
        return False
    smaller = [c for c in KEPT_COPIES if c < copy]
    return not smaller or _chunk(node, smaller[-1]) != chunk


def _flash(node: Node, *, whole: bool) -> bool:
    return fits(node) and _window(node).direct is whole


_NOTE = "constant symmetric weights of the input's type, one group, sums below 2^23"


def _row(op: Op, note: str, copy: int, *, whole: bool) -> Row:
    predicate = partial(_copies, copy=copy, whole=whole) if copy else partial(_flash, whole=whole)
    return Row(
        op,
        ("s8", "s8"),
        "conv2d_s8_dsp",
        "conv2d_s8_dsp_params",
        partial(lower_conv2d_s8_dsp, copy=copy),
        predicate,
        note,
        inplace=(0,) if whole else (),
        isa=DSP,
        files=("gemm_s8_dsp.c", "widen_s8_dsp.c"),
        work=partial(work, copy=copy),
    )


def _kept_row(op: Op, copy: int) -> Row:
    return Row(
        op,
        ("s8", "s8"),
        "conv2d_s8_dsp",
        "conv2d_s8_dsp_params",
        partial(lower_conv2d_s8_dsp, copy=copy, keep=True),
        partial(_keeps, copy=copy),
        _NOTE,
        inplace=(0,),
        isa=DSP,
        files=("gemm_s8_dsp.c", "widen_s8_dsp.c"),
        work=partial(work, copy=copy, keep=True),
    )


# The first row that matches serves where nobody searches: the largest copy that holds more than
# the next one.
_ORDER = (*reversed(COPIES), 0)
ROWS = (
    *(_row(Op.CONV2D, _NOTE, copy, whole=whole) for copy in _ORDER for whole in (True, False)),
    *(_kept_row(Op.CONV2D, copy) for copy in reversed(KEPT_COPIES)),
    *(_row(Op.DEPTHWISE_CONV2D, "one input channel", c, whole=False) for c in _ORDER if c < 16384),
)
