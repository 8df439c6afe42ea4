"""What is said of operators that milliwatt does not read: where, on what, and a way round."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from milliwatt.errors import MilliwattError
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.formats.tflite_read.names import Names
from milliwatt.formats.tflite_schema import Operator, Subgraph

# What stands in for an operator whose name says little about a way round.
_NEAREST = {
    "HARD_SWISH": "RELU6 with ADD and MUL",
    "LEAKY_RELU": "RELU",
    "PRELU": "RELU",
    "ELU": "RELU",
    "POW": "SQUARE, SQRT or MUL",
    "SUM": "MEAN",
    "REDUCE_MAX": "MAX_POOL_2D",
    "TRANSPOSE_CONV": "CONV_2D",
    "BATCH_MATMUL": "FULLY_CONNECTED",
    "PACK": "CONCATENATION",
    "MIRROR_PAD": "PAD",
    "L2_POOL_2D": "AVERAGE_POOL_2D",
}


def unknown_operator(
    operator: Operator, subgraph: Subgraph, names: Names, known: Collection[str]
) -> str:
    """Why an operator cannot be read: its name, its types, the nearest of the `known` ones."""
    where = f"operator {operator.index}"
    types = ""
    try:
        if operator.outputs:
            where = names.of_tensor(subgraph.tensor(operator.outputs[0]).name, where)
        types = ", ".join(str(subgraph.tensor(i).dtype) for i in operator.inputs if i >= 0)
    except MilliwattError:
        pass  # the operator is the news; its tensors may be of unsupported types themselves
    kind = operator.kind
    subject = f"{where} ({kind}) on {types or 'no operands'}"
    if kind not in OPERATORS:
        return f"{subject}: not supported; builtin operators and TFLM's signal operators are"
    close = difflib.get_close_matches(kind, known, 1, 0.0)[0]
    return f"{subject}: not supported; the nearest that is: {_NEAREST.get(kind, close)}"
