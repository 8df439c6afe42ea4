"""What is said of operators that milliwatt does not read: where, on what, and a way round."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from milliwatt.errors import MilliwattError
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.formats.tflite_read.names import Names
from milliwatt.formats.tflite_schema import Operator, Subgraph

# What stands in for an operator whose name says little about a way round.
NEAREST = {
    "ATAN2": "DIV with LOGISTIC or TANH, fitted",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "UNIDIRECTIONAL_SEQUENCE_LSTM, one for each direction",
    "BIDIRECTIONAL_SEQUENCE_RNN": "FULLY_CONNECTED with TANH, a step at a time",
    "BITCAST": "CAST",
    "BUCKETIZE": "GREATER_EQUAL with CAST and SUM",
    "CONV_3D": "CONV_2D",
    "CONV_3D_TRANSPOSE": "TRANSPOSE_CONV",
    "EMBEDDING_LOOKUP_SPARSE": "GATHER with SUM",
    "FAKE_QUANT": "QUANTIZE with DEQUANTIZE",
    "HASHTABLE_LOOKUP": "GATHER",
    "LOCAL_RESPONSE_NORMALIZATION": "MUL with RSQRT and MEAN",
    "LSTM": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "NON_MAX_SUPPRESSION_V4": "TFLite_Detection_PostProcess",
    "NON_MAX_SUPPRESSION_V5": "TFLite_Detection_PostProcess",
    "ONE_HOT": "EQUAL with CAST",
    "POW": "SQUARE, SQRT or MUL",
    "REDUCE_PROD": "MUL",
    "RFFT2D": "SignalRfft",
    "RNN": "FULLY_CONNECTED with TANH",
    "SCATTER_ND": "DYNAMIC_UPDATE_SLICE",
    "SEGMENT_SUM": "SUM",
    "SPARSE_TO_DENSE": "DYNAMIC_UPDATE_SLICE",
    "TOPK_V2": "ARG_MAX",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "FULLY_CONNECTED with TANH, a step at a time",
    "UNSORTED_SEGMENT_SUM": "SUM",
    "WHERE": "SELECT_V2",
}
# Custom operators that other tools leave in a file, by the start of their names.
_CUSTOM = {
    "Flex": "a TensorFlow operator; convert the model again without SELECT_TF_OPS",
    "ethos-u": "compiled for one accelerator; read the file from before the Vela compiler",
}
_NAME = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*\b|Signal\w+|TFLite_\w+")


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
    return f"{where} ({kind}) on {types or 'no operands'}: not supported; {_advice(kind, known)}"


def _advice(kind: str, known: Collection[str]) -> str:
    if kind in OPERATORS:
        return f"the nearest that is: {nearest(kind, known)}"
    name = kind.removeprefix("custom ").strip("'")
    for start, advice in _CUSTOM.items():
        if name.startswith(start):
            return advice
    return "builtin operators and TFLM's own custom ones are"


def nearest(kind: str, known: Collection[str]) -> str:
    """What of the `known` operators stands in for `kind`, which is none of them."""
    advice = NEAREST.get(kind, "")
    if advice and all(name in known for name in _NAME.findall(advice)):
        return advice
    close = difflib.get_close_matches(kind, known, 1, 0.85)
    return close[0] if close else "none; compute it in the code around the model"
