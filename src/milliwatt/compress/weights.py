"""Quantized weights and biases of products: symmetric s8 per output channel, s32 or s64 beside."""

from __future__ import annotations

import numpy as np

from milliwatt.compress.choose import BIAS_LIMIT, LEAST_MULTIPLIER, LEAST_SCALE, WEIGHT_LIMIT
from milliwatt.compress.rules import S8
from milliwatt.ir.types import DType, Quant


def quantize_weight(
    weight: np.ndarray,
    axis: int,
    x_scale: float,
    out_scale: float,
    bias: np.ndarray | None,
    dtype: DType = S8,
) -> tuple[np.ndarray, Quant]:
    """Symmetric s8 weight in [-127, 127] and its scales, one per index of `axis`.

    A channel's scale is max |w| / 127, raised where its multiplier would underflow (all zeros, dead
    channels) or its bias would not fit what activations of `dtype` leave it at x_scale * scale.
    """
    others = tuple(a for a in range(weight.ndim) if a != axis)
    natural = np.abs(weight).max(axis=others).astype(np.float64) / WEIGHT_LIMIT
    scales = np.maximum(natural, max(LEAST_MULTIPLIER * out_scale / x_scale, LEAST_SCALE))
    if bias is not None:
        room = x_scale * BIAS_LIMIT[dtype]
        scales = np.maximum(scales, np.abs(bias.astype(np.float64)) / room)
    quant = Quant.per_axis(scales, axis)
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = weight.astype(np.float64) / quant.scales.astype(np.float64).reshape(shape)
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5)
    return np.clip(rounded, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8), quant


def quantize_bias(
    bias: np.ndarray, x_scale: float, weight: Quant, dtype: DType = S8
) -> tuple[np.ndarray, Quant]:
    """Bias [channels] at scale x_scale * weight scale: s32, s64 beside s16 activations."""
    quant = Quant.per_axis(weight.scales.astype(np.float64) * x_scale, 0)
    steps = bias.astype(np.float64) / quant.scales.astype(np.float64)
    stored = np.int32 if dtype is S8 else np.int64
    return (np.sign(steps) * np.floor(np.abs(steps) + 0.5)).astype(stored), quant
