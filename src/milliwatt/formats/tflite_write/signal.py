"""The audio front end's custom operators: nodes as .tflite operators.

TFLM finds an option by its place in the FlexBuffers map, whose keys are sorted: none may be left
out. Spectral subtraction and overlap-add keep their state by themselves.
"""

from __future__ import annotations

from typing import Any

from flatbuffers import flexbuffers

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_write.written import Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.filter_bank import subtraction_parts
from milliwatt.ir.ops.signal import auto_scale_parts, overlap_add_parts
from milliwatt.ir.types import DType

_TYPE_NUMBER = {DType.F32: 0, DType.S32: 2, DType.S16: 7}


def _bytes(options: dict[str, int | bool]) -> bytes:
    return bytes(flexbuffers.Dumps(options))


def _plain(kind: str, **names: str) -> Writer:
    """`kind` with options taken from the attributes that are called as they say."""
    return lambda node, a: Written(
        kind, custom=_bytes({option: getattr(a, name) for option, name in names.items()})
    )


def _auto_scale(node: Node, a: Any) -> Written:
    results = auto_scale_parts(node.src[0].type)
    return Written("SignalFftAutoScale", custom=_bytes({}), results=results)


def _fft(kind: str) -> Writer:
    return lambda node, a: Written(
        kind, custom=_bytes({"T": _TYPE_NUMBER[node.type.dtype], "fft_length": a.length})
    )


def _filter_bank(node: Node, a: Any) -> Written:
    return Written("SignalFilterBank", custom=_bytes({"num_channels": node.type.size}))


def _own_state(node: Node) -> tuple[Node]:
    """Operand 1, which the operator keeps by itself."""
    kept = node.src[1]
    if kept.op is not Op.STATE:
        raise InvalidGraph(
            f"{node.name} ({node.op}): {kept.name} is computed ({kept.op}); TFLite's operator "
            "keeps it as a state of its own"
        )
    return (kept,)


def _spectral_subtraction(node: Node, a: Any) -> Written:
    options = {
        "alternate_one_minus_smoothing": a.odd_one_minus_smoothing,
        "alternate_smoothing": a.odd_smoothing,
        "clamping": a.clamping,
        "min_signal_remaining": a.min_remaining,
        "num_channels": node.src[0].type.size,
        "one_minus_smoothing": a.one_minus_smoothing,
        "smoothing": a.smoothing,
        "smoothing_bits": a.smoothing_bits,
        "spectral_subtraction_bits": a.subtraction_bits,
    }
    return Written(
        "SignalFilterBankSpectralSubtraction",
        operands=(node.src[0],),
        custom=_bytes(options),
        results=subtraction_parts(node.src[0].type),
        variables=_own_state(node),
    )


def _overlap_add(node: Node, a: Any) -> Written:
    frames = node.src[0]
    return Written(
        "SignalOverlapAdd",
        operands=(frames,),
        custom=_bytes({"T": _TYPE_NUMBER[frames.type.dtype], "frame_step": a.step}),
        results=overlap_add_parts(frames.type, a.step)[:1],
        variables=_own_state(node),
    )


WRITERS: dict[Op, Writer] = {
    Op.WINDOW: _plain("SignalWindow", shift="shift"),
    Op.FFT_AUTO_SCALE: _auto_scale,
    Op.RFFT: _fft("SignalRfft"),
    Op.IRFFT: _fft("SignalIrfft"),
    Op.ENERGY: _plain("SignalEnergy", end_index="end", start_index="start"),
    Op.FILTER_BANK: _filter_bank,
    Op.FILTER_BANK_SQUARE_ROOT: _plain("SignalFilterBankSquareRoot"),
    Op.SPECTRAL_SUBTRACTION: _spectral_subtraction,
    Op.PCAN: _plain("SignalPCAN", snr_shift="snr_shift"),
    Op.FILTER_BANK_LOG: _plain(
        "SignalFilterBankLog",
        input_correction_bits="correction_bits",
        output_scale="output_scale",
    ),
    Op.OVERLAP_ADD: _overlap_add,
}
