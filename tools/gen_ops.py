"""Write docs/ops.md: every operator, its attributes, its kernels, and TFLM's operators beside them.

The tables are the code's own.

`make docs` runs it; a test fails when the file on disk differs from what this renders.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from milliwatt.compiler.bind import TABLE, Row
from milliwatt.ir.ops import OPS, Op

if not __package__:  # run as a script: the tables are beside it
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import tflm_ops

TARGET = Path(__file__).resolve().parent.parent / "docs" / "ops.md"

_HEAD = """\
# Operators and kernels

Written by `make docs` from the operator table (`ir/ops`) and the bind table (`compiler/rows`); do
not edit. What an operator computes is its NumPy reference in `ir/ops/<family>.py`; what its
attributes mean is in `ir/attrs/<family>.py`; what a kernel asks of its parameters is in the head
comment of its C file.

## Operators

| operator | operands | attributes | element types (first operand -> result) |
|---|---|---|---|
"""

_KERNELS = """
## Kernels

Every row that matches a node may compute it; the compiler picks one ([schedule.md](schedule.md)),
the first where nobody searches. Rows that differ in nothing but the RAM they use are one line.
`over` lists the pointer operands whose memory the result may take over, where nothing reads them
later.

| operator | types | kernel | asks | over |
|---|---|---|---|---|
"""

_NO_ROW = {
    Op.INPUT: "given by the caller",
    Op.CONSTANT: "kept in flash",
    Op.RESHAPE: "no kernel: the same bytes under another shape",
    Op.STATE: "kept in the arena from run to run",
    Op.PART: "no kernel: some of the same bytes under another type",
    Op.IF: "any: calls of the kernels of its graphs",
    Op.WHILE: "any: calls of the kernels of its graphs",
    Op.BY_ROWS: "any: calls of the kernels of its two operators",
    Op.SCAN: "any: calls of the kernels of its graph",
}


def _operands(op: Op) -> str:
    low, high = OPS[op].arity
    if low == high:
        return str(low)
    return f"{low} to {high}" if high < 100 else f"{low} or more"


def _types(op: Op) -> str:
    kinds = dict.fromkeys(
        "any" if row.dtypes is None else " -> ".join(row.dtypes) for row in TABLE if row.op is op
    )
    return ", ".join(kinds) or _NO_ROW[op]


def _kernel(entry: Row) -> str:
    kinds = "any" if entry.dtypes is None else " -> ".join(entry.dtypes)
    over = ", ".join(str(i) for i in entry.inplace)
    note = entry.note or "nothing"
    return f"| `{entry.op}` | {kinds} | `mw_{entry.kernel}` | {note} | {over} |\n"


def render() -> str:
    """The whole file as text."""
    lines = [_HEAD]
    for op, row in OPS.items():
        attrs = ", ".join(f"`{f.name}`" for f in fields(row.attrs)) or "none"
        lines.append(f"| `{op}` | {_operands(op)} | {attrs} | {_types(op)} |\n")
    lines.append(_KERNELS)
    order = list(OPS)
    rows = (_kernel(entry) for entry in sorted(TABLE, key=lambda entry: order.index(entry.op)))
    lines += dict.fromkeys(rows)
    lines.append(tflm_ops.render())
    return "".join(lines)


def main() -> None:
    """Write docs/ops.md."""
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote docs/{TARGET.name}")


if __name__ == "__main__":
    main()
