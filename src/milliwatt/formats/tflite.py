"""Read a .tflite file into a Graph.

The file's structure is checked in `flatbuffer.py`, its tensors in `tflite_schema.py`, each
operator becomes nodes in `tflite_read`; here they are joined by their tensors and named.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from pathlib import Path

import numpy as np

from milliwatt.errors import ImportFailed, InvalidGraph, MilliwattError, UnsupportedOp
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.formats.tflite_read import READERS, Site
from milliwatt.formats.tflite_schema import ModelFile, Operator, Tensor
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.types import Quant
from milliwatt.ir.verify import verify

# Roles of constant operands: `conv2d_1.weight` says more than the converter's tensor name.
_ROLES = {
    "CONV_2D": ("input", "weight", "bias"),
    "DEPTHWISE_CONV_2D": ("input", "weight", "bias"),
    "FULLY_CONNECTED": ("input", "weight", "bias"),
}
# What stands in for an operator whose name says little about a way round.
_NEAREST = {
    "HARD_SWISH": "RELU6 with ADD and MUL",
    "LEAKY_RELU": "RELU",
    "PRELU": "RELU",
    "ELU": "RELU",
    "GELU": "LOGISTIC with MUL",
    "SUM": "MEAN",
    "REDUCE_MAX": "MAX_POOL_2D",
    "TRANSPOSE_CONV": "CONV_2D",
    "BATCH_MATMUL": "FULLY_CONNECTED",
    "PACK": "CONCATENATION",
    "MIRROR_PAD": "PAD",
    "L2_POOL_2D": "AVERAGE_POOL_2D",
}
# Last segments of TensorFlow names that repeat what the operator does; a digit is MLIR's counter.
_KINDS = re.compile(
    r"(Relu6?|Conv2D|depthwise|MatMul|BiasAdd|ReadVariableOp|resource|FusedBatchNormV3|AvgPool|"
    r"MaxPool|Mean|Reshape|Softmax|Sigmoid|Tanh|Pad|PadV2|Transpose|concat|add|sub|mul)\d*"
)
# Names that converters give to the model's inputs and outputs.
_WRAPPER = re.compile(r"(serving_default_)?(.*?)(:\d+)?(_int8)?", re.DOTALL)
_ANONYMOUS = ("", "Identity", "StatefulPartitionedCall", "PartitionedCall")


def read_tflite(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Graph:
    """Read a .tflite model, a path or the file's bytes, into a Graph.

    Activations are NHWC, convolution weights OHWI, depthwise weights [1,KH,KW,C*M]; a free batch
    size becomes 1. Padding is explicit and fused activations are clamps. Nodes are called after the
    layers of the source model, constants after their layer and role (`dense.weight`); `name` (the
    file's stem by default) names the graph. Raises ImportFailed where the file is damaged or breaks
    the TFLite specification, UnsupportedOp where it asks for what milliwatt does not have; the
    message names the file and the offset, tensor or operator.
    Source: TensorFlow Lite `schema.fbs`, version 3.
    """
    label, data = _load(source)
    try:
        return verify(_Reader(ModelFile(data)).graph(name or Path(label).stem))
    except InvalidGraph as error:
        raise ImportFailed(f"{label}: {error}") from None
    except (ImportFailed, UnsupportedOp) as error:
        raise type(error)(f"{label}: {error}") from None


def _load(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """(file name for messages, contents)."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "model.tflite", bytes(source)
    path = Path(source)
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "does not exist or is no ordinary file"
        raise ImportFailed(f"{path}: {found}; a .tflite file wanted")
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be read ({error.strerror})") from None


class _Names:
    """Readable names, each given once; `exact` takes the file's own as they are."""

    def __init__(self, raw: list[str], exact: bool) -> None:
        self.exact = exact
        self._taken: dict[str, int] = {}
        self._scope = _common_scope([_layer(name) for name in raw])

    def give(self, wanted: str) -> str:
        """`wanted`, or `wanted_2`, `wanted_3` ... where it is taken."""
        name = wanted
        while name in self._taken:
            # Counting on from the last one keeps a file of equal names linear.
            self._taken[wanted] += 1
            name = f"{wanted}_{self._taken[wanted]}"
        self._taken[name] = 1
        return name

    def of_tensor(self, raw: str, fallback: str) -> str:
        """The layer a tensor belongs to without the scopes that all layers share."""
        if self.exact and raw:
            return self.give(re.sub(r"[^A-Za-z0-9_./:;-]", "_", raw))
        segments = _layer(raw)
        if len(segments) > 1 and segments[: len(self._scope)] == self._scope:
            segments = segments[len(self._scope) :]
        plain = re.sub(r"[^A-Za-z0-9_./-]+", "_", "/".join(segments)).strip("_")
        return self.give(fallback if plain in _ANONYMOUS else plain)


def _layer(raw: str) -> list[str]:
    """Scope segments of a tensor's layer: `model/relu/Relu;model/conv/BiasAdd` -> [model, conv].

    A converter that fuses operators joins their names with `;`, the one that computes last.
    """
    match = _WRAPPER.fullmatch(raw.rsplit(";", 1)[-1])
    segments = (match.group(2) if match else raw).split("/")
    while len(segments) > 1 and _KINDS.fullmatch(segments[-1]):
        segments.pop()
    return segments


def _common_scope(layers: list[list[str]]) -> list[str]:
    """The leading segments that all scoped layers share: `model` of model/conv and model/dense."""
    scoped = [layer[:-1] for layer in layers if len(layer) > 1]
    shared = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*scoped, strict=False))
    return [column[0] for column in shared]


class _Reader:
    """Joins the operators of one file; a tensor becomes a node when its operator is reached."""

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._made: dict[int, Node] = {}
        self._waiting: set[int] = set()
        self._updates: dict[Node, Node] = {}
        outs = [
            file.tensor(op.outputs[0]).name
            for op in file.operators
            if op.kind in READERS and op.outputs
        ]
        self._names = _Names(outs, file.is_ours)

    def graph(self, name: str) -> Graph:
        """The whole graph, called `name`."""
        inputs = tuple(self._input(index) for index in self._file.inputs)
        self._waiting = {i for op in self._file.operators for i in op.outputs}
        for operator in self._file.operators:
            self._read(operator)
        if not self._file.outputs:
            raise ImportFailed("the file declares no outputs")
        outputs = tuple(self._node(index, "output of the model") for index in self._file.outputs)
        return Graph(inputs, outputs, tuple(self._updates.items()), name)

    def _input(self, index: int) -> Node:
        tensor = self._file.tensor(index)
        if index in self._made:
            raise ImportFailed(f"{tensor} is an input of the model twice")
        if tensor.data is not None and tensor.data.size:
            raise ImportFailed(
                f"{tensor} is an input of the model and has stored data; one of them wanted"
            )
        if any(size == -1 for size in tensor.signature[1:]):
            raise ImportFailed(
                f"{tensor} is an input of shape {list(tensor.signature)}; "
                "only the batch may be free, export the model with fixed sizes"
            )
        name = self._names.of_tensor(tensor.name, "input")
        self._made[index] = graph_input(tensor.shape, tensor.dtype, name, tensor.quant)
        return self._made[index]

    def _node(self, index: int, user: str, name: str | None = None) -> Node:
        """The node of tensor `index`; a stored tensor becomes a constant called `name`."""
        tensor = self._file.tensor(index)
        if index not in self._made:
            if index in self._waiting:
                raise ImportFailed(
                    f"{tensor}, {user}, is used before it is made; the graph has a cycle"
                )
            if tensor.data is None:
                raise ImportFailed(
                    f"{tensor}, {user}, is made by no operator and has no stored data"
                )
            called = (
                self._names.give(name)
                if name and not self._names.exact
                else self._names.of_tensor(tensor.name, name or "constant")
            )
            self._made[index] = constant(tensor.data, called, tensor.quant)
        return self._made[index]

    def _read(self, operator: Operator) -> None:
        kind = operator.kind
        if kind not in READERS:
            raise UnsupportedOp(self._unknown(operator))
        options_type, reader = READERS[kind]
        outs = tuple(self._file.tensor(index) for index in operator.outputs)
        name = self._names.of_tensor(outs[0].name if outs else "", kind.lower())
        for out in outs:
            if out.index in self._made or out.data is not None:
                raise ImportFailed(f"{name} ({kind}): {out} already has a value; each is made once")
        if options_type and operator.options and operator.options_type != options_type:
            raise ImportFailed(
                f"{name} ({kind}): options of type {operator.options_type}; {options_type} wanted"
            )
        roles = _ROLES.get(kind, ())
        operands = tuple(
            None
            if index == -1
            else self._node(
                index, f"operand of {name}", f"{name}.{roles[at]}" if at < len(roles) else None
            )
            for at, index in enumerate(operator.inputs)
        )
        options = operator.options if options_type else None
        made = reader(Site(kind, name, operands, options, outs, operator.custom, self))
        nodes = (made,) if isinstance(made, Node) else made
        if len(nodes) != len(outs):
            raise ImportFailed(f"{name} ({kind}): {len(outs)} results; {len(nodes)} wanted")
        for node, out in zip(nodes, outs, strict=True):
            _agree(node, kind, out)
            self._made[out.index] = node
            self._waiting.discard(out.index)

    def state(self, name: str, value: np.ndarray, quant: Quant | None) -> Node:
        """See Memory."""
        return state(value, self._names.give(name), quant)

    def update(self, state: Node, new: Node) -> None:
        """See Memory."""
        self._updates[state] = new

    def variable(self, index: int) -> Node:
        """See Memory."""
        raise UnsupportedOp(f"tensor {index} is a variable that keeps state")

    def subgraph(self, index: int) -> Graph:
        """See Memory."""
        raise UnsupportedOp(f"subgraph {index} is called; one subgraph wanted")

    def _unknown(self, operator: Operator) -> str:
        """Why an operator cannot be read: its name, its types, the nearest operator there is."""
        where = f"operator {operator.index}"
        types = ""
        try:
            if operator.outputs:
                where = self._names.of_tensor(self._file.tensor(operator.outputs[0]).name, where)
            types = ", ".join(str(self._file.tensor(i).dtype) for i in operator.inputs if i >= 0)
        except MilliwattError:
            pass  # the operator is the news; its tensors may be of unsupported types themselves
        kind = operator.kind
        subject = f"{where} ({kind}) on {types or 'no operands'}"
        if kind not in OPERATORS:
            return f"{subject}: not supported; only builtin operators are"
        close = difflib.get_close_matches(kind, READERS, 1, 0.0)[0]
        return f"{subject}: not supported; the nearest that is: {_NEAREST.get(kind, close)}"


def _agree(node: Node, kind: str, declared: Tensor) -> None:
    """The type that follows from the operands must be the one the file declares."""
    found = node.type
    if (found.shape, found.dtype) != (declared.shape, declared.dtype):
        raise ImportFailed(
            f"{node.name} ({kind}): result is {found.short}, the file declares "
            f"{declared.dtype}{list(declared.shape)}"
        )
    if found.quant != declared.quant:
        raise ImportFailed(
            f"{node.name} ({kind}): result is quantized {found.quant}, the file declares "
            f"{declared.quant}; the TFLite specification wants them equal, convert the model again"
        )
