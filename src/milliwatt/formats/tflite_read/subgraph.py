"""Joins the operators of a subgraph by their tensors; each becomes a node when it is reached."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite_read import READERS
from milliwatt.formats.tflite_read.evaluate import Evaluator
from milliwatt.formats.tflite_read.memory import Role, SubgraphMemory, held_constant
from milliwatt.formats.tflite_read.moves import known
from milliwatt.formats.tflite_read.names import Names
from milliwatt.formats.tflite_read.refusals import unknown_operator
from milliwatt.formats.tflite_read.relabel import COPIES, as_declared
from milliwatt.formats.tflite_read.site import Branch, Handle, Result, Site, Value
from milliwatt.formats.tflite_read.unsigned import (
    COMPUTES,
    MOVES,
    RAW,
    check_equal,
    is_unsigned,
    signed_node,
    signed_tensor,
    unsigned_node,
)
from milliwatt.formats.tflite_read.variables import Variables
from milliwatt.formats.tflite_schema import ModelFile, Operator, Subgraph, Tensor
from milliwatt.ir.attrs.control import MAX_DEPTH
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.types import DType, Type

MAX_OPERATORS = 100_000
"""Operators read of one file, a subgraph's as often as it is read."""

# Roles of constant operands: `conv2d_1.weight` says more than the converter's tensor name.
_ROLES = {
    "CONV_2D": ("input", "weight", "bias"),
    "DEPTHWISE_CONV_2D": ("input", "weight", "bias"),
    "FULLY_CONNECTED": ("input", "weight", "bias"),
}
# They make no node, so they take no name.
_NAMELESS = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")

Handles = tuple[Handle | None, ...]


class Loading:
    """One file while it is read: its variables and the subgraphs that its operators call."""

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.variables = Variables(file)
        self._evaluator = Evaluator(file.size)
        self._branches: dict[tuple[int, Handles], SubgraphReader] = {}
        self._open: list[int] = []
        self._operators = 0

    def graph(self, name: str) -> Graph:
        """The network: the file's first subgraph, called `name`."""
        return self._read(0, "main", ()).network(name)

    def branch(self, index: int, operands: Sequence[Value]) -> Branch:
        """Subgraph number `index` as IF or WHILE calls it; read once for each set of handles."""
        handles = tuple(v if isinstance(v, Handle) else None for v in operands)
        if (index, handles) not in self._branches:
            self._branches[index, handles] = self._read(index, "branch", handles)
        return self._branches[index, handles]

    def run_once(self, index: int, caller: SubgraphMemory) -> None:
        """Run subgraph number `index` and keep what it assigns as first values of variables."""
        reader = self._read(index, "init", ())
        memory = reader.memory
        for key in memory.now:
            if isinstance(key, Handle) and key in caller.now:
                raise UnsupportedOp(
                    f"variable {key.name[:80]!a} is used before subgraph {index} gives it its "
                    "first value; CALL_ONCE wanted at the start of the file"
                )
        changed = memory.changed()
        if not changed:
            return
        starts = [self.variables.start(key, node.type) for key, node in memory.first.items()]
        graph = Graph(tuple(memory.first.values()), tuple(memory.now[key] for key in changed))
        for key, value in zip(changed, self._evaluator.run(graph, starts), strict=True):
            self.variables.give(key, value)

    def _read(self, index: int, role: Role, handles: Handles) -> SubgraphReader:
        if not 0 <= index < len(self.file.subgraphs):
            raise ImportFailed(
                f"subgraph {index} is called, the file has {len(self.file.subgraphs)}"
            )
        subgraph = self.file.subgraphs[index]
        if index in self._open:
            raise ImportFailed(f"subgraph {index} calls itself; the file is damaged")
        if len(self._open) > MAX_DEPTH:
            raise UnsupportedOp(f"subgraphs call subgraphs more than {MAX_DEPTH} deep")
        if role != "main" and len(handles) != len(subgraph.inputs):
            raise ImportFailed(
                f"subgraph {index} is called on {len(handles)} values; "
                f"{len(subgraph.inputs)} wanted"
            )
        self._operators += len(subgraph.operators)
        if self._operators > MAX_OPERATORS:
            raise UnsupportedOp(f"more than {MAX_OPERATORS:,} operators; a smaller model wanted")
        self._open.append(index)
        reader = SubgraphReader(self, subgraph, role, handles)
        self._open.pop()
        return reader


class SubgraphReader:
    """One subgraph as nodes; as a `Branch`, its variables are further inputs and outputs."""

    def __init__(self, loading: Loading, subgraph: Subgraph, role: Role, handles: Handles) -> None:
        self._file = loading.file
        self._subgraph = subgraph
        self._made: dict[int, Node] = {}
        self._signed: dict[int, Node] = {}
        self._handles: dict[int, Handle] = {}
        outs = [
            subgraph.tensor(op.outputs[0]).name
            for op in subgraph.operators
            if op.kind in READERS and op.kind not in _NAMELESS and op.outputs
        ]
        self._names = Names(outs, loading.file.is_ours)
        self.memory = SubgraphMemory(loading, role, self._names)
        self._extra: dict[Hashable, Node] = {}
        self._inputs = self._read_inputs(handles)
        self._waiting = {i for op in subgraph.operators for i in op.outputs}
        for operator in subgraph.operators:
            self._read(operator)
        self._results = tuple(
            self._handles.get(index) or self._node(index, "output of the model", None)
            for index in subgraph.outputs
        )

    # --- the whole ------------------------------------------------------------------------------

    def network(self, name: str) -> Graph:
        """The file's network, called `name`; what it remembers is its states."""
        if not self._results:
            raise ImportFailed("the file declares no outputs")
        for result in self._results:
            if isinstance(result, Handle):
                raise UnsupportedOp(
                    f"variable {result.name!a} is an output of the model; its value wanted"
                )
        memory = self.memory
        pairs = ((first, memory.now[key]) for key, first in memory.first.items())
        updates = tuple(pair for pair in pairs if pair[0] is not pair[1])
        outputs = tuple(r for r in self._results if isinstance(r, Node))
        return _named_apart(memory.frozen(Graph(self._inputs, outputs, updates, name)))

    def variables(self) -> dict[Hashable, Type]:
        """See Branch."""
        inputs = {k: n.type for k, n in self.memory.first.items() if not n.is_constant}
        return inputs | {
            key: self.memory.now[key].type for key in self.changes() if key not in inputs
        }

    def changes(self) -> list[Hashable]:
        """See Branch."""
        return self.memory.changed()

    def results(self) -> tuple[Result, ...]:
        """See Branch."""
        return self._results

    def graph(self, given: dict[Hashable, Type], changed: Sequence[Hashable]) -> Graph:
        """See Branch."""
        first, now = self.memory.first, self.memory.now
        taken = {key: first.get(key) or self._unused(key, kind) for key, kind in given.items()}
        own = tuple(result for result in self._results if isinstance(result, Node))
        outputs = (*own, *(now.get(key, taken[key]) for key in changed))
        name = self._subgraph.name or f"subgraph{self._subgraph.index}"
        return _named_apart(Graph((*self._inputs, *taken.values()), outputs, (), name))

    def _unused(self, key: Hashable, kind: Type) -> Node:
        """An input for a variable that only other subgraphs of the same operator read."""
        if key not in self._extra:
            name = self._names.give("variable")
            self._extra[key] = graph_input(kind.shape, kind.dtype, name, kind.quant)
        return self._extra[key]

    # --- inputs and operands --------------------------------------------------------------------

    def _read_inputs(self, handles: Handles) -> tuple[Node, ...]:
        nodes = []
        for at, index in enumerate(self._subgraph.inputs):
            tensor = self._subgraph.tensor(index)
            if index in self._made or index in self._handles:
                raise ImportFailed(f"{tensor} is an input of the model twice")
            handle = handles[at] if at < len(handles) else None
            if handle is not None:
                self._handles[index] = handle
            else:
                self._made[index] = self._input(tensor)
                nodes.append(self._made[index])
        return tuple(nodes)

    def _input(self, tensor: Tensor) -> Node:
        if tensor.is_handle:
            raise UnsupportedOp(
                f"{tensor} is an input of the model and a handle of a variable; a value wanted"
            )
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
        return graph_input(tensor.shape, tensor.dtype, name, tensor.quant)

    def _node(self, index: int, user: str, name: str | None) -> Node:
        """The node of tensor `index`; a stored tensor becomes a constant called `name`."""
        if index in self._made:
            return self._made[index]
        tensor = self._subgraph.tensor(index)
        if index in self._signed and tensor.data is None:
            self._made[index] = unsigned_node(self._signed[index], tensor.type)
            return self._made[index]
        if tensor.is_variable:
            if tensor.data is not None and tensor.data.size:
                raise ImportFailed(
                    f"{tensor}, {user}, is a variable and has stored data; one of them wanted"
                )
            return self.memory.operand((self._subgraph.index, index), tensor.name, tensor.type)
        if index in self._waiting:
            raise ImportFailed(
                f"{tensor}, {user}, is used before it is made; the graph has a cycle"
            )
        if tensor.data is None:
            raise ImportFailed(f"{tensor}, {user}, is made by no operator and has no stored data")
        self._made[index] = self._constant(tensor, name)
        return self._made[index]

    def _constant(self, tensor: Tensor, name: str | None) -> Node:
        """The constant of a tensor with data, called `name`; the file's own bytes, not a copy."""
        assert tensor.data is not None
        called = (
            self._names.give(name)
            if name and not self._names.exact
            else self._names.of_tensor(tensor.name, name or "constant")
        )
        return held_constant(tensor.data, tensor.type, called)

    def _signed_node(self, index: int, user: str, name: str | None) -> Node:
        """`_node` of a quantized u8 tensor as s8."""
        if index not in self._signed:
            tensor = self._subgraph.tensor(index)
            if tensor.data is not None and index not in self._made:
                self._signed[index] = self._constant(signed_tensor(tensor), name)
            else:
                self._signed[index] = signed_node(self._node(index, user, name))
        return self._signed[index]

    def _operands(self, operator: Operator, name: str, signed: bool) -> tuple[Node | None, ...]:
        """The operator's operands; `signed` says that quantized u8 ones are wanted as s8."""
        roles = _ROLES.get(operator.kind, ())
        self.memory.new_operator()
        nodes: list[Node | None] = []
        for at, index in enumerate(operator.inputs):
            if index == -1 or index in self._handles:
                nodes.append(None)
                continue
            called = f"{name}.{roles[at]}" if at < len(roles) else None
            as_signed = signed and is_unsigned(self._subgraph.tensor(index))
            find = self._signed_node if as_signed else self._node
            nodes.append(find(index, f"operand of {name}", called))
        return tuple(nodes)

    def _wants_signed(self, operator: Operator, outs: tuple[Tensor, ...], name: str) -> bool:
        """True where the quantized u8 values of an operator are read as s8."""
        ins = (self._subgraph.tensor(index) for index in operator.inputs if index != -1)
        if operator.kind in RAW or not any(map(is_unsigned, (*ins, *outs))):
            return False
        if operator.kind in MOVES:
            return any(index in self._signed for index in operator.inputs)
        if operator.kind not in COMPUTES:
            raise UnsupportedOp(
                f"{name} ({operator.kind}): on uint8 it computes other results than on int8; "
                "convert the model again with int8 inputs and outputs"
            )
        return True

    # --- operators ------------------------------------------------------------------------------

    def _read(self, operator: Operator) -> None:
        kind = operator.kind
        if kind not in READERS:
            raise UnsupportedOp(unknown_operator(operator, self._subgraph, self._names, READERS))
        options_type, reader = READERS[kind]
        outs = tuple(self._subgraph.tensor(index) for index in operator.outputs)
        names = self._result_names(kind, outs)
        for out in outs:
            if out.data is not None or any(
                out.index in made for made in (self._made, self._signed, self._handles)
            ):
                raise ImportFailed(
                    f"{names[0]} ({kind}): {out} already has a value; each is made once"
                )
        if options_type and operator.options and operator.options_type != options_type:
            raise ImportFailed(
                f"{names[0]} ({kind}): options of type {operator.options_type}; "
                f"{options_type} wanted"
            )
        signed = self._wants_signed(operator, outs, names[0])
        operands = self._operands(operator, names[0], signed)
        if signed:
            outs = tuple(map(signed_tensor, outs))
        options = operator.options if options_type else None
        handles = tuple(self._handles.get(index) for index in operator.inputs)
        site = Site(
            kind, names[0], operands, options, outs, operator.custom, self.memory, handles, names
        )
        try:
            made = reader(site)
        except InvalidGraph as error:
            site.fail(str(error))
        results = made if isinstance(made, tuple) else (made,)
        if len(results) != len(outs):
            site.fail(f"{len(outs)} results; {len(results)} wanted")
        for result, out in zip(results, outs, strict=True):
            self._keep(site, result, out, signed)
            self._waiting.discard(out.index)

    def _result_names(self, kind: str, outs: tuple[Tensor, ...]) -> tuple[str, ...]:
        raw = [out.name for out in outs] or [""]
        if kind in _NAMELESS:
            return tuple(self._names.plain(name, kind.lower()) for name in raw)
        first = self._names.of_tensor(raw[0], kind.lower())
        more = (self._names.of_tensor(r, f"{first}.{at}") for at, r in enumerate(raw[1:], 1))
        return (first, *more)

    def _keep(self, site: Site, result: Result, out: Tensor, signed: bool) -> None:
        """Let `result` be tensor `out` for the operators that follow."""
        if isinstance(result, Handle):
            if not out.is_handle:
                site.fail(f"{out} is {out.dtype}; type RESOURCE wanted for a variable")
            self._handles[out.index] = result
            return
        result = as_declared(site.kind, result, out)
        _agree(site, result, out)
        if result.type.dtype in (DType.S32, DType.S64, DType.BOOL):
            result = known(result)  # shapes computed from shapes
        if result.is_constant and result not in site.operands:
            self._file.grow(result.type.nbytes, str(out))
        declared = self._subgraph.tensor(out.index)
        if signed and is_unsigned(declared):
            check_equal(site, result)
            if not out.is_variable:
                self._signed[out.index] = result
                return
            result = unsigned_node(result, declared.type)
        if out.is_variable:
            self.memory.holds((self._subgraph.index, out.index), out.name, result.type)
            self.memory.change((self._subgraph.index, out.index), result)
        else:
            self._made[out.index] = result


def _named_apart(graph: Graph) -> Graph:
    """`graph` with a name for each node: what readers add may be called as a tensor is."""
    names = [node.name for node in graph.nodes()]
    return graph if len(set(names)) == len(names) else unique_names(graph)


def _agree(site: Site, node: Node, declared: Tensor) -> None:
    """The type that follows from the operands must be the one the file declares."""
    found = node.type
    if (found.shape, found.dtype) != (declared.shape, declared.dtype) or declared.is_handle:
        wanted = "RESOURCE" if declared.is_handle else str(declared.dtype)
        raise ImportFailed(
            f"{node.name} ({site.kind}): result is {found.short}, the file declares "
            f"{wanted}{list(declared.shape)}"
        )
    if found.quant == declared.quant:
        return
    if found.quant is not None and declared.quant is None and site.kind in COPIES:
        return
    # Indices and truth values carry scales that TFLite never looks at.
    if found.quant is None and found.dtype in (DType.S32, DType.S64, DType.BOOL):
        return
    raise ImportFailed(
        f"{node.name} ({site.kind}): result is quantized {found.quant}, the file declares "
        f"{declared.quant}; the TFLite specification wants them equal, convert the model again"
    )
