"""State, operators of several results, control flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs.control import PART_ALIGN, Part, State
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type, dtype_of

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def _infer_state(attrs: State, ins: Types) -> Type:
    return Type(attrs.value.shape, attrs.dtype or dtype_of(attrs.value), attrs.quant)


def _run_state(attrs: State, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    raise InvalidGraph("a state has no value of its own; a Session of the reference keeps it")


def _infer_part(attrs: Part, ins: Types) -> Type:
    want_dtype("bundle", ins[0], DType.U8)
    end = attrs.offset + attrs.type.nbytes
    want(
        attrs.offset >= 0 and attrs.offset % PART_ALIGN == 0 and end <= ins[0].nbytes,
        f"bytes {attrs.offset} to {end} of a bundle of {ins[0].nbytes}; a part inside it, "
        f"aligned to {PART_ALIGN}, wanted",
    )
    return attrs.type


def _run_part(attrs: Part, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    raw = args[0][attrs.offset : attrs.offset + out.size * out.dtype.itemsize]
    return raw.copy().view(out.dtype.numpy).reshape(out.shape)


OPS = {
    Op.STATE: OpDef(State, (0, 0), _infer_state, _run_state),
    Op.PART: OpDef(Part, (1, 1), _infer_part, _run_part),
}
