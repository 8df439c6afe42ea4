"""scan: one graph at every position of a sequence, states carried along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs.control import bundle_type, pack_parts
from milliwatt.ir.attrs.recurrent import Scan, along
from milliwatt.ir.ops.common import want
from milliwatt.ir.ops.control import MANY, call, graph_macs, want_graphs, want_types
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

MAX_STEPS = 1 << 20
"""Most positions of a scan: beyond what any buffer of a microcontroller holds."""


def _infer_scan(attrs: Scan, ins: Types) -> Type:
    count, results = attrs.sequences, len(attrs.body.outputs) - attrs.states
    want(1 <= attrs.steps <= MAX_STEPS, f"{attrs.steps} steps; 1 to {MAX_STEPS:,} wanted")
    want(
        count >= 1 and attrs.states >= 0 and count + attrs.states <= len(ins),
        f"{count} sequences and {attrs.states} states of {len(ins)} operands; 1 sequence or more, "
        "and no more than there are operands, wanted",
    )
    want(results >= 0, f"body has {len(attrs.body.outputs)} outputs; {attrs.states} states wanted")
    for kind in ins[:count]:
        want(
            len(kind.shape) >= 2 and kind.shape[1] == attrs.steps,
            f"sequence is {kind.short}; {attrs.steps} positions on axis 1 wanted",
        )
    want_graphs(attrs, [*(along(kind, 1) for kind in ins[:count]), *ins[count:]])
    for kind in attrs.positions:
        want(
            len(kind.shape) >= 2 and kind.shape[1] == 1,
            f"body gives {kind.short}; results of one position, 1 on axis 1, wanted",
        )
    given = [node.type for node in attrs.body.outputs[results:]]
    want_types("body carries on", given, ins[count : count + attrs.states])
    return bundle_type(attrs.results)[0]


def _run_scan(attrs: Scan, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    first, last = attrs.sequences, attrs.sequences + attrs.states
    states, positions = tuple(args[first:last]), []
    for t in range(attrs.steps):
        now = tuple(sequence[:, t : t + 1] for sequence in args[:first])
        made = call(attrs.body, (*now, *states, *args[last:]))
        count = len(made) - attrs.states
        positions.append(made[:count])
        states = made[count:]
    stacked = (np.concatenate(values, axis=1) for values in zip(*positions, strict=True))
    return pack_parts((*stacked, *states))


def _scan_macs(attrs: Scan, out: Type, ins: Types) -> int:
    return attrs.steps * graph_macs(attrs.body)


OPS: dict[Op, OpDef] = {Op.SCAN: OpDef(Scan, (1, MANY), _infer_scan, _run_scan, _scan_macs)}
