"""Elementwise operators beyond add, sub and mul: math, comparison, logic, choice: attributes."""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.types import DType, Quant


@dataclass(frozen=True)
class Pointwise(Attrs):
    """Any elementwise operator whose result may be quantized; `quant` is the result's."""

    quant: Quant | None = None


@dataclass(frozen=True)
class LeakyRelu(Attrs):
    """leaky_relu: x where x >= 0, else alpha * x."""

    alpha: float
    quant: Quant | None = None


@dataclass(frozen=True)
class Gelu(Attrs):
    """gelu: x times the normal distribution's integral up to x, or tanh's approximation of it."""

    approximate: bool = False
    quant: Quant | None = None


@dataclass(frozen=True)
class Cast(Attrs):
    """cast: the stored numbers in another element type; no scale takes part."""

    dtype: DType
    quant: Quant | None = None
