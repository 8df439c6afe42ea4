"""The audio front end: window, FFT, filter bank, PCAN: attributes.

Its values are fixed-point numbers without quantization: s16 samples and spectra, u32 energies, u64
filter bank sums. Operators without attributes of their own take plain Attrs.
"""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import Attrs


@dataclass(frozen=True)
class Window(Attrs):
    """window(x s16 [...], weights s16 [S]): x * weights >> shift, saturated; S divides x's size."""

    shift: int


@dataclass(frozen=True)
class Rfft(Attrs):
    """rfft(x [..., L]) -> [..., length + 2]: re, im of the frequencies 0 to length / 2.

    x, s16, s32 or f32, is filled up with zeros to `length`. Integers come out divided by `length`.
    """

    length: int


@dataclass(frozen=True)
class Irfft(Attrs):
    """irfft(x [..., length + 2]) -> [..., length]: real signals of spectra, divided by `length`."""

    length: int


@dataclass(frozen=True)
class Energy(Attrs):
    """energy(x s16 [2 N]: re, im) -> u32 [N]: re^2 + im^2 of start <= i < end, 0 elsewhere."""

    start: int
    end: int


@dataclass(frozen=True)
class SpectralSubtraction(Attrs):
    """spectral_subtraction(signal u32 [C], noise u32 [C]) -> bundle (signal, new noise).

    noise <- (signal * s + noise * o) >> subtraction_bits, the signal raised by `smoothing_bits`;
    s and o are the first two factors on even channels, the second two on odd ones. What is left of
    the signal is at least signal * min_remaining >> subtraction_bits; `clamping` keeps the noise
    at or below the signal.
    """

    smoothing: int
    one_minus_smoothing: int
    odd_smoothing: int
    odd_one_minus_smoothing: int
    smoothing_bits: int
    min_remaining: int
    subtraction_bits: int
    clamping: bool


@dataclass(frozen=True)
class Pcan(Attrs):
    """pcan(signal u32 [C], noise u32 [C], gains s16 [125]) -> u32 [C]: per-channel gain control.

    The gain, a piecewise parabola of the noise, times the signal, >> `snr_shift`, compressed.
    """

    snr_shift: int


@dataclass(frozen=True)
class FilterBankLog(Attrs):
    """filter_bank_log(x u32 [C]) -> s16 [C]: ln(x << correction_bits) * output_scale."""

    output_scale: int
    correction_bits: int


@dataclass(frozen=True)
class OverlapAdd(Attrs):
    """overlap_add(frames [..., F, S], tail [..., S - step]) -> bundle (samples, new tail).

    The tail, then every frame, is added `step` samples behind the one before; s16 saturates at
    every addition. The first F * step samples are done, the others are the next run's tail.
    """

    step: int
