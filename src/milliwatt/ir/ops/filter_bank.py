"""The filter bank of the audio front end and what follows it, in integers.

Source: TensorFlow Lite Micro's signal library; PCAN: Wang et al., "Trainable frontend for robust
and far-field keyword spotting", ICASSP 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs.control import bundle_type, pack_parts
from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.attrs.signal import FilterBankLog, Pcan, SpectralSubtraction
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

GAIN_ENTRIES = 125
"""Entries of PCAN's gain table: 3 for the noises 0, 1, 2, then 4 for every octave up to 2^32."""
SNR_BITS, OUTPUT_BITS = 12, 6
LOG_TABLE_BITS, LOG_BITS = 7, 16
LN_2 = 45426  # ln 2 in 16 bits
_U32 = np.uint64(0xFFFFFFFF)


def _vector(kind: str, x: Type, dtype: DType) -> None:
    want_dtype(kind, x, dtype)
    want(len(x.shape) == 1, f"{kind} is {x.short}; 1 axis wanted")


def _infer_filter_bank(attrs: Attrs, ins: Types) -> Type:
    _vector("input", ins[0], DType.U32)
    names = ("weights", "unweights", "frequency starts", "weight starts", "widths")
    for name, kind in zip(names, ins[1:], strict=True):
        _vector(name, kind, DType.S16)
    weights, unweights, *bands = ins[1:]
    want(
        weights.shape == unweights.shape,
        f"weights are {weights.short}, unweights {unweights.short}; as many of each wanted",
    )
    want(
        len({band.shape for band in bands}) == 1 and bands[0].size >= 2,
        f"starts and widths are {', '.join(b.short for b in bands)}; one of each for every channel "
        "and one more wanted",
    )
    return Type((bands[0].size - 1,), DType.U64)


def check_bands(frequencies: int, weights: int, tables: Arrays) -> None:
    """InvalidGraph unless all bands lie inside the input and the weights.

    `tables` are the three tables of s16 [C + 1]: frequency starts, weight starts, widths.
    """
    for channel, (start, at, width) in enumerate(zip(*(t.tolist() for t in tables), strict=True)):
        inside = start >= 0 and at >= 0 and start + width <= frequencies and at + width <= weights
        want(
            width <= 0 or inside,
            f"band {channel} reads {width} frequencies from {start} with weights from {at}; "
            f"inside {frequencies} frequencies and {weights} weights wanted",
        )


def _run_filter_bank(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x, weights, unweights = args[0].astype(np.uint64), *(a.astype(np.int64) for a in args[1:3])
    check_bands(x.size, weights.size, args[3:])
    sums = np.zeros((2, out.size + 1), np.uint64)
    for channel, (start, at, width) in enumerate(zip(*(t.tolist() for t in args[3:]), strict=True)):
        energies = x[start : start + max(width, 0)]
        for row, factors in enumerate((weights, unweights)):
            chosen = factors[at : at + max(width, 0)].view(np.uint64)
            sums[row, channel] = (chosen * energies).sum(dtype=np.uint64)
    # What a band leaves over (unweights) goes to the next channel; the first band is no channel.
    return sums[0, 1:] + sums[1, :-1]


def _filter_bank_macs(attrs: Attrs, out: Type, ins: Types) -> int:
    return 2 * ins[1].size


def _infer_square_root(attrs: Attrs, ins: Types) -> Type:
    _vector("input", ins[0], DType.U64)
    want_dtype("scale bits", ins[1], DType.S32)
    want(ins[1].size == 1, f"scale bits are {ins[1].short}; one number wanted")
    return Type(ins[0].shape, DType.U32)


def _run_square_root(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """round(sqrt(x)) >> bits; 16 bits at most of what fits 32, 32 bits of what does not."""
    x = args[0]
    root = np.minimum(np.sqrt(x.astype(np.float64)), 2.0**32 - 1).astype(np.uint64)
    root -= root * root > x
    rest = x - root * root
    root += rest > 2 * root  # float64 was one too low
    rest = x - root * root
    most = np.where(x <= _U32, np.uint64(0xFFFF), _U32)
    root += (rest > root) & (root != most)
    return (root >> np.uint64(int(args[1].reshape(())) & 31)).astype(np.uint32)


def _infer_subtraction(attrs: SpectralSubtraction, ins: Types) -> Type:
    _vector("signal", ins[0], DType.U32)
    _vector("noise", ins[1], DType.U32)
    want(
        ins[0].shape == ins[1].shape,
        f"signal is {ins[0].short}, noise {ins[1].short}; as many channels wanted",
    )
    for name in ("smoothing_bits", "subtraction_bits"):
        bits = getattr(attrs, name)
        want(0 <= bits <= 31, f"{name} is {bits}; 0 to 31 wanted")
    for name in (
        *("smoothing", "one_minus_smoothing", "odd_smoothing", "odd_one_minus_smoothing"),
        "min_remaining",
    ):
        factor = getattr(attrs, name)
        want(0 <= factor < 1 << 31, f"{name} is {factor}; 0 to {(1 << 31) - 1} wanted")
    return bundle_type(subtraction_parts(ins[0]))[0]


def subtraction_parts(signal: Type) -> tuple[Type, Type]:
    """Results of spectral_subtraction: what is left of the signal, the new noise."""
    return signal, signal


def _run_subtraction(attrs: SpectralSubtraction, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    signal, noise = (a.astype(np.uint64) for a in args)
    odd = np.arange(signal.size) % 2 == 1
    gain = np.where(odd, attrs.odd_smoothing, attrs.smoothing).astype(np.uint64)
    keep = np.where(odd, attrs.odd_one_minus_smoothing, attrs.one_minus_smoothing)
    raised = (signal << np.uint64(attrs.smoothing_bits)) & _U32
    bits = np.uint64(attrs.subtraction_bits)
    noise = ((raised * gain + noise * keep.astype(np.uint64)) >> bits) & _U32
    below = np.minimum(noise, raised)
    least = ((signal * np.uint64(attrs.min_remaining)) >> bits) & _U32
    left = np.maximum((raised - below) >> np.uint64(attrs.smoothing_bits), least)
    after = below if attrs.clamping else noise
    return pack_parts((left.astype(np.uint32), after.astype(np.uint32)))


def _infer_pcan(attrs: Pcan, ins: Types) -> Type:
    _vector("signal", ins[0], DType.U32)
    _vector("noise", ins[1], DType.U32)
    _vector("gain table", ins[2], DType.S16)
    want(
        ins[0].shape == ins[1].shape,
        f"signal is {ins[0].short}, noise {ins[1].short}; as many channels wanted",
    )
    want(
        ins[2].size >= GAIN_ENTRIES,
        f"gain table is {ins[2].short}; {GAIN_ENTRIES} entries or more wanted",
    )
    want(0 <= attrs.snr_shift <= 63, f"snr_shift is {attrs.snr_shift}; 0 to 63 wanted")
    return ins[0]


def bit_lengths(x: np.ndarray) -> np.ndarray:
    """Bits of each integer of `x`, which are below 2^53; 0 for 0."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def _gains(noise: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The gain of each noise: table[noise] up to 2, then a parabola for every octave."""
    octave = np.maximum(bit_lengths(noise), 2)
    x = noise.astype(np.int64)
    place = np.where(octave < 11, x << np.maximum(11 - octave, 0), x >> np.maximum(octave - 11, 0))
    place &= 0x3FF
    at = 4 * octave - 6
    entry = table.astype(np.int64)
    curve = ((entry[at + 2] * place) >> 5) + (entry[at + 1] << 5)
    value = ((curve * place + (1 << 14)) >> 15) + entry[at]
    return np.where(x <= 2, entry[np.minimum(x, 2)], value).astype(np.int16)


def _run_pcan(attrs: Pcan, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    gain = _gains(args[1], args[2]).astype(np.uint32)  # a negative gain is a large one, as in TFLM
    product = args[0].astype(np.uint64) * gain.astype(np.uint64)
    snr = (product >> np.uint64(attrs.snr_shift)) & _U32
    square = ((snr * snr) & _U32) >> np.uint64(2 + 2 * SNR_BITS - OUTPUT_BITS)
    less_one = (snr >> np.uint64(SNR_BITS - OUTPUT_BITS)) - np.uint64(1 << OUTPUT_BITS)
    return np.where(snr < 2 << SNR_BITS, square, less_one).astype(np.uint32)


def log_table() -> np.ndarray:
    """What log2(1 + i / 128) has more than i / 128, in 16 bits: s16 [129]."""
    place = np.arange((1 << LOG_TABLE_BITS) + 1) / (1 << LOG_TABLE_BITS)
    excess: np.ndarray = np.round((np.log2(1 + place) - place) * (1 << LOG_BITS))
    return excess.astype(np.int16)


def _infer_log(attrs: FilterBankLog, ins: Types) -> Type:
    _vector("input", ins[0], DType.U32)
    bits, scale = attrs.correction_bits, attrs.output_scale
    want(0 <= bits <= 31, f"correction_bits is {bits}; 0 to 31 wanted")
    want(0 <= scale < 1 << 31, f"output_scale is {scale}; 0 to {(1 << 31) - 1} wanted")
    return Type(ins[0].shape, DType.S16)


def _run_log(attrs: FilterBankLog, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = ((args[0].astype(np.uint64) << np.uint64(attrs.correction_bits)) & _U32).astype(np.int64)
    whole = np.maximum(bit_lengths(x) - 1, 0)
    above = x - (1 << whole)
    part = np.where(
        whole < LOG_BITS,
        above << np.maximum(LOG_BITS - whole, 0),
        above >> np.maximum(whole - LOG_BITS, 0),
    )
    step = LOG_BITS - LOG_TABLE_BITS
    table = log_table().astype(np.int64)
    segment = np.maximum(part, 0) >> step
    rise = (table[segment + 1] - table[segment]) * (part - (segment << step))
    log2 = (whole << LOG_BITS) + part + table[segment] + (rise >> LOG_BITS)
    half = 1 << (LOG_BITS - 1)
    natural = (LN_2 * log2 + half) >> LOG_BITS
    scaled = ((attrs.output_scale * natural + half) & 0xFFFFFFFF) >> LOG_BITS
    return np.where(x > 1, np.minimum(scaled, (1 << 15) - 1), 0).astype(np.int16)


OPS = {
    Op.FILTER_BANK: OpDef(Attrs, (6, 6), _infer_filter_bank, _run_filter_bank, _filter_bank_macs),
    Op.FILTER_BANK_SQUARE_ROOT: OpDef(Attrs, (2, 2), _infer_square_root, _run_square_root),
    Op.SPECTRAL_SUBTRACTION: OpDef(
        SpectralSubtraction, (2, 2), _infer_subtraction, _run_subtraction
    ),
    Op.PCAN: OpDef(Pcan, (3, 3), _infer_pcan, _run_pcan),
    Op.FILTER_BANK_LOG: OpDef(FilterBankLog, (1, 1), _infer_log, _run_log),
}
