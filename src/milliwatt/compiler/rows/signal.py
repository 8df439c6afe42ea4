"""Rows of the audio front end: window, FFT, filter bank, PCAN."""

from __future__ import annotations

import math

import numpy as np

from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.signal import (
    Energy,
    FilterBankLog,
    Irfft,
    OverlapAdd,
    Pcan,
    Rfft,
    SpectralSubtraction,
    Window,
)
from milliwatt.ir.fft import Arithmetic, real_twiddles, stages, twiddles
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.filter_bank import check_bands, log_table
from milliwatt.ir.ops.signal import overlap_add_parts
from milliwatt.ir.types import DType


def lower_window(node: Node) -> Lowered:
    """window: rows as long as the weights."""
    assert isinstance(node.attrs, Window)
    row = node.src[1].type.size
    return Lowered((("rows", node.type.size // row), ("row", row), ("shift", node.attrs.shift)))


def lower_auto_scale(node: Node) -> Lowered:
    """fft_auto_scale."""
    return Lowered((("size", node.src[0].type.size),))


def _table(kind: Arithmetic, pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Complex numbers side by side, as the kernel's element type; one of 0 where there is none."""
    flat = np.stack(pair, axis=1).reshape(-1).astype(kind.dtype.numpy)
    return flat if flat.size else np.zeros(2, kind.dtype.numpy)


def lower_fft(node: Node) -> Lowered:
    """rfft and irfft: the stages, and the twiddles of the transform and of its real part."""
    assert isinstance(node.attrs, Rfft | Irfft)
    inverse = isinstance(node.attrs, Irfft)
    x, count, kind = node.src[0].type, node.attrs.length // 2, Arithmetic(node.type.dtype)
    plan = [(stage.groups, stage.radix, stage.length) for stage in stages(count)]
    fields = (
        ("rows", x.size // x.shape[-1]),
        ("in_size", x.shape[-1]),
        ("count", count),
        ("stage_count", len(plan)),
        ("stages", np.array(plan, np.int32).reshape(-1)),
        ("twiddles", _table(kind, twiddles(count, kind, inverse))),
        ("last", _table(kind, real_twiddles(count, kind, inverse))),
    )
    return Lowered(fields, 2 * count * kind.dtype.itemsize if inverse else 0)


def lower_energy(node: Node) -> Lowered:
    """energy."""
    assert isinstance(node.attrs, Energy)
    return Lowered(
        (("count", node.type.size), ("start", node.attrs.start), ("end", node.attrs.end))
    )


def lower_filter_bank(node: Node) -> Lowered:
    """filter_bank with the weights of its bands one after the other, in pairs.

    Raises: UnsupportedOp for tables that are computed, and for negative weights.
    """
    for table in node.src[1:]:
        if not table.is_constant:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): {table.name} is computed at run time; a constant wanted"
            )
    weights, unweights, starts, places, widths = (table.value for table in node.src[1:])
    check_bands(node.src[0].type.size, weights.size, (starts, places, widths))
    if min(weights.min(initial=0), unweights.min(initial=0)) < 0:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a weight is {min(weights.min(), unweights.min())}; 0 to "
            "32767 wanted; make the filter bank's triangles of positive weights"
        )
    pairs = [
        np.stack([weights[at : at + width], unweights[at : at + width]], axis=1)
        for at, width in zip(places.tolist(), widths.tolist(), strict=True)
        if width > 0
    ]
    packed = np.concatenate(pairs) if pairs else np.zeros((1, 2), np.int16)
    bands = np.stack([np.where(widths > 0, starts, 0), np.maximum(widths, 0)], axis=1)
    fields = (
        ("channels", node.type.size),
        ("bands", bands.astype(np.int32).reshape(-1)),
        ("weights", packed.reshape(-1)),
    )
    return Lowered(fields, operands=(0,))


def lower_square_root(node: Node) -> Lowered:
    """filter_bank_square_root."""
    return Lowered((("size", node.type.size),))


def lower_subtraction(node: Node) -> Lowered:
    """spectral_subtraction: its factors by the channel's parity."""
    a = node.attrs
    assert isinstance(a, SpectralSubtraction)
    return Lowered(
        (
            ("size", node.src[0].type.size),
            ("smoothing", a.smoothing),
            ("one_minus_smoothing", a.one_minus_smoothing),
            ("odd_smoothing", a.odd_smoothing),
            ("odd_one_minus_smoothing", a.odd_one_minus_smoothing),
            ("smoothing_bits", a.smoothing_bits),
            ("min_remaining", a.min_remaining),
            ("subtraction_bits", a.subtraction_bits),
            ("clamping", int(a.clamping)),
        )
    )


def lower_pcan(node: Node) -> Lowered:
    """pcan; its gain table stays an operand."""
    assert isinstance(node.attrs, Pcan)
    return Lowered((("size", node.type.size), ("snr_shift", node.attrs.snr_shift)))


def lower_log(node: Node) -> Lowered:
    """filter_bank_log with the table of the logarithm."""
    assert isinstance(node.attrs, FilterBankLog)
    return Lowered(
        (
            ("size", node.type.size),
            ("output_scale", node.attrs.output_scale),
            ("correction_bits", node.attrs.correction_bits),
            ("table", log_table()),
        )
    )


def lower_overlap_add(node: Node) -> Lowered:
    """overlap_add: the frames, and where the parts of the bundle are."""
    assert isinstance(node.attrs, OverlapAdd)
    frames = node.src[0].type
    *outer, count, size = frames.shape
    done = overlap_add_parts(frames, node.attrs.step)[0]
    item = frames.dtype.itemsize
    return Lowered(
        (
            ("rows", math.prod(outer)),
            ("frames", count),
            ("frame", size),
            ("step", node.attrs.step),
            ("tail_offset", -(-done.nbytes // 8) * 8 // item),
            ("end", node.type.nbytes // item),
        )
    )


_FFT_TYPES = tuple(str(dtype) for dtype in (DType.S16, DType.S32, DType.F32))
ROWS: tuple[Row, ...] = (
    Row(Op.WINDOW, ("s16", "s16"), "window_s16", "window_params", lower_window, inplace=(0,)),
    Row(
        Op.FFT_AUTO_SCALE,
        ("s16", "u8"),
        "fft_auto_scale_s16",
        "fft_auto_scale_params",
        lower_auto_scale,
    ),
    *(
        Row(op, (kind, kind), f"{op}_{kind}", f"fft_params_{kind}", lower_fft)
        for op in (Op.RFFT, Op.IRFFT)
        for kind in _FFT_TYPES
    ),
    Row(Op.ENERGY, ("s16", "u32"), "energy_s16", "energy_params", lower_energy),
    Row(Op.FILTER_BANK, ("u32", "u64"), "filter_bank_u32", "filter_bank_params", lower_filter_bank),
    Row(
        Op.FILTER_BANK_SQUARE_ROOT,
        ("u64", "u32"),
        "filter_bank_square_root_u64",
        "filter_bank_square_root_params",
        lower_square_root,
    ),
    Row(
        Op.SPECTRAL_SUBTRACTION,
        ("u32", "u8"),
        "spectral_subtraction_u32",
        "spectral_subtraction_params",
        lower_subtraction,
    ),
    Row(Op.PCAN, ("u32", "u32"), "pcan_u32", "pcan_params", lower_pcan, inplace=(0,)),
    Row(
        Op.FILTER_BANK_LOG,
        ("u32", "s16"),
        "filter_bank_log_u32",
        "filter_bank_log_params",
        lower_log,
    ),
    *(
        Row(
            Op.OVERLAP_ADD,
            (kind, "u8"),
            f"overlap_add_{kind}",
            "overlap_add_params",
            lower_overlap_add,
        )
        for kind in ("s16", "f32")
    ),
)
