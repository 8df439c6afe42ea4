"""Operators of a .tflite file as nodes: one file an operator family, one function an operator.

A reader is found by the name of the builtin operator, or of the custom one.
"""

from __future__ import annotations

from milliwatt.formats.tflite_read import (
    control,
    core,
    decode,
    matrix,
    move,
    pointwise,
    recurrent,
    reduce,
    signal,
)
from milliwatt.formats.tflite_read.site import Reader, Site

READERS: dict[str, tuple[int, Reader]] = {
    **core.READERS,
    **control.READERS,
    **decode.READERS,
    **matrix.READERS,
    **move.READERS,
    **pointwise.READERS,
    **recurrent.READERS,
    **reduce.READERS,
    **signal.READERS,
}

__all__ = ["READERS", "Reader", "Site"]
