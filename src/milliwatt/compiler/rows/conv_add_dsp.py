"""Rows of conv2d + add in s8 for the DSP extension: those of conv2d, by bands, and a sum."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from milliwatt.compiler.rows import conv_dsp
from milliwatt.compiler.rows.elementwise_dsp import plane_fields, plane_of
from milliwatt.compiler.rows.results import prefixed, s8_bounds
from milliwatt.compiler.rows.row import Field, Lowered, Row, plain_work
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import ConvAdd
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

BANDS = (2048, 256)
"""Bytes of hidden values at least: many for few calls, each of which finds its code gone from the
flash's instruction cache, and perhaps copies its weights; few for little RAM."""

_HIDDEN: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()


def hidden_of(node: Node) -> Node:
    """The convolution of a conv2d_add, the same node each time: rows know what they have solved."""
    assert isinstance(node.attrs, ConvAdd)
    if node not in _HIDDEN:
        _HIDDEN[node] = Node(Op.CONV2D, node.src[:3], node.attrs.conv, node.name)
    return _HIDDEN[node]


def _fits(node: Node, conv: Row, least: int) -> bool:
    hidden = hidden_of(node)
    if not conv.predicate(hidden):
        return False
    if any(_band(hidden, other) == _band(hidden, least) for other in BANDS if other > least):
        return False
    return plane_of(Op.ADD, node.type, hidden.type, node.src[3].type) is not None


def _band(hidden: Node, least: int) -> int:
    """Output rows at a time; of an even number of pixels, as these go in pairs."""
    _, height, width, channels = hidden.type.shape
    rows = max(least // (width * channels), 1)
    return min(rows + (rows * width & 1), height)


def _lower(node: Node, conv: Row, least: int) -> Lowered:
    """conv2d with a fused add; the skip tensor is the second pointer."""
    assert isinstance(node.attrs, ConvAdd)
    hidden = hidden_of(node)
    lowered = conv.lower(hidden)
    # Rows of pixels, also where conv2d alone would take all of them as one.
    (batches, in_h, in_w, _), (_, out_h, out_w, _) = hidden.src[0].type.shape, hidden.type.shape
    image = {"batches": batches, "in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w}
    fields = [(name, image.get(name, value)) for name, value in lowered.fields]
    plane = plane_of(Op.ADD, node.type, hidden.type, node.src[3].type)
    assert plane is not None
    total: tuple[Field, ...] = (
        ("rows", 1),
        ("row", node.type.size),
        ("rank", 0),
        ("axes", np.zeros(3, np.int32)),
        *prefixed("linear", plane_fields(plane)),
        *s8_bounds(node.type, node.attrs.add.clamp),
    )
    band = _band(hidden, least)
    kept = (band * out_w * node.type.shape[3] + 3) & ~3
    return Lowered(
        (*prefixed("conv", fields), ("band", band), *prefixed("sum", total)),
        kept + lowered.workspace_bytes,
        (0, 3),
    )


def _work(node: Node, conv: Row, least: int) -> Mapping[str, float]:
    """conv2d's counts, and of bands; a chunk's weights are read, or copied, for every band."""
    hidden = hidden_of(node)
    fields = dict(conv.lower(hidden).fields)
    bands = hidden.type.shape[0] * -(-hidden.type.shape[1] // _band(hidden, least))
    counts = dict((conv.work or plain_work)(hidden))
    if 0 < fields["copied"] < fields["words"]:
        for name in counts.keys() & {"chunks", "copied_bytes", "flash_bytes"}:
            counts[name] *= bands
    return {**counts, "bands": bands, "added": node.type.size}


def _by_bands(conv: Row) -> bool:
    """Whether a row's kernel is run band by band; keeping all columns would gain nothing there."""
    keeps = isinstance(conv.lower, partial) and conv.lower.keywords.get("keep", False)
    return conv.op is Op.CONV2D and conv.kernel == "conv2d_s8_dsp" and not keeps


ROWS = tuple(
    Row(
        Op.CONV2D_ADD,
        ("s8", "s8"),
        "conv2d_add_s8_dsp",
        "conv2d_add_s8_dsp_params",
        partial(_lower, conv=conv, least=least),
        partial(_fits, conv=conv, least=least),
        f"{conv.note}; scales with a plane",
        inplace=(1,),
        isa=DSP,
        files=(f"{conv.kernel}.c", *conv.files, "add_s8_dsp.c"),
        work=partial(_work, conv=conv, least=least),
    )
    for least in BANDS
    for conv in conv_dsp.ROWS
    if _by_bands(conv)
)
