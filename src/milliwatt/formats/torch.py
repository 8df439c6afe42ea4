"""A torch.nn.Module -> Graph, through torch.export and the core ATen operators.

Torch orders images [N,C,H,W] and signals [N,C,L]; the Graph orders them [N,H,W,C] and [N,L,C]. An
input or output of four axes is channels-last in the Graph unless the module itself permutes it; one
of three axes is channels-last where a convolution, pooling or batch norm reads or makes it. All
others keep their shape. `layout.to_nhwc` then removes the transposes in between.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any

import numpy as np

from milliwatt.errors import ImportFailed, InvalidGraph, ToolMissing, UnsupportedOp
from milliwatt.formats.layout import to_nhwc
from milliwatt.formats.torch_axes import channels_first
from milliwatt.formats.torch_call import Builder, Call, Const
from milliwatt.formats.torch_names import WORKS, no_kernel, node_name, place
from milliwatt.formats.torch_ops import HANDLERS
from milliwatt.formats.torch_recurrent import LAYERS
from milliwatt.ir.attrs import Transpose
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify

if TYPE_CHECKING:
    import torch

# Axis order of the Graph's value for one of torch's, by number of axes.
_CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
_CHANNELS_FIRST = {3: (0, 2, 1), 4: (0, 3, 1, 2)}


def import_torch() -> Any:
    """The torch package; ToolMissing with the line that installs it where it is absent."""
    try:
        import torch
    except ImportError:
        raise ToolMissing('PyTorch is not installed; run: pip install "milliwatt[torch]"') from None
    return torch


def read_torch(module: torch.nn.Module, example: Any, *, name: str | None = None) -> Graph:
    """The Graph of `module` in inference mode, for inputs shaped like `example`.

    `example` is a float array or tensor, or a tuple of them, one for every argument of `forward`,
    in torch's axis order and with the batch the firmware runs (1 as a rule). Inputs [N,C,H,W]
    become [N,H,W,C] (see the head of this file). Nodes are named after the module's submodules
    (`features.0.conv`; `features.conv2d_0` where only a number is given), constants after its
    parameters. The module is left as it was.

    Raises ImportFailed where the module does not run on the example or cannot be exported,
    UnsupportedOp where it uses an operator without a kernel, ToolMissing without PyTorch.
    Source: torch.export, run_decompositions to core ATen.
    """
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise ImportFailed(
            f"{type(module).__name__} is not a torch.nn.Module; pass the model object itself"
        )
    title = name or type(module).__name__
    with _quiet(), _inference(module):
        inputs = _example_tensors(torch, example, title)
        _check_parameters(torch, module, title)
        _check_runs(torch, module, inputs, title)
        program = _export(torch, module, inputs, title)
        return verify(to_nhwc(_Importer(torch, program, title).graph()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's own warnings and logs: an error is to be one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _inference(module: torch.nn.Module) -> Iterator[None]:
    """Put the module in evaluation mode, and every part of it back as it was afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _example_tensors(torch: Any, example: Any, title: str) -> tuple[Any, ...]:
    """The example as float32 tensors on the CPU."""
    parts = example if isinstance(example, (tuple, list)) else (example,)
    tensors = []
    for i, part in enumerate(parts):
        if not isinstance(part, (np.ndarray, torch.Tensor)):
            raise ImportFailed(
                f"{title}: example {i} is {type(part).__name__}; a float array or tensor wanted, "
                "a tuple of them for several inputs"
            )
        tensor = torch.as_tensor(part).detach().cpu()
        if not tensor.is_floating_point():
            raise ImportFailed(f"{title}: example {i} is {tensor.dtype}; torch.float32 wanted")
        if tensor.numel() == 0:
            raise ImportFailed(f"{title}: example {i} has shape {list(tensor.shape)}; no 0 wanted")
        tensors.append(tensor.to(torch.float32))
    return tuple(tensors)


def _check_parameters(torch: Any, module: torch.nn.Module, title: str) -> None:
    for key, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            continue
        if value.device.type != "cpu":
            raise ImportFailed(
                f"{title}: {key} is on {value.device}; cpu wanted; call module.cpu()"
            )
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ImportFailed(
                f"{title}: {key} is {value.dtype}; torch.float32 wanted; call module.float()"
            )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__


def _shapes(inputs: Sequence[Any]) -> str:
    return " and ".join(f"f32[{','.join(str(d) for d in t.shape)}]" for t in inputs)


def _check_runs(torch: Any, module: torch.nn.Module, inputs: tuple[Any, ...], title: str) -> None:
    """Run the module once, to tell a wrong example from a module that cannot be exported."""
    try:
        with torch.no_grad():
            result = module(*inputs)
    except Exception as error:  # the user's own code may raise anything
        raise ImportFailed(
            f"{title}: forward fails on example {_shapes(inputs)}: {_first_line(error)}; "
            "pass an example shaped like the real input, [N,C,H,W] for images"
        ) from None
    for leaf in torch.utils._pytree.tree_leaves(result):
        if not isinstance(leaf, torch.Tensor):
            raise ImportFailed(
                f"{title}: forward returns a {type(leaf).__name__}; "
                "a tensor or a tuple of tensors wanted"
            )


def _export(torch: Any, module: torch.nn.Module, inputs: tuple[Any, ...], title: str) -> Any:
    try:
        # torch prints the code it could not follow to stderr; our error is to be one line.
        with torch.no_grad(), redirect_stderr(io.StringIO()):
            program = torch.export.export(module, inputs)
            table = torch.export.default_decompositions()
            # Core ATen splits linear into views and addmm; it is an operator of ours.
            table.pop(torch.ops.aten.linear.default, None)
            for layer in LAYERS:  # and a scan is one, too
                table.pop(getattr(torch.ops.aten, layer).input, None)
            return program.run_decompositions(table)
    except Exception as error:  # torch.export has no common base class for its errors
        raise ImportFailed(
            f"{title}: torch.export cannot follow forward: {_first_line(error)}; "
            "no branch or shape may depend on the values of tensors"
        ) from None


class _Importer:
    """One walk over an exported program."""

    def __init__(self, torch: Any, program: Any, title: str) -> None:
        self.torch = torch
        self.program = program
        self.title = title
        self.builder = Builder()
        self.values: dict[Any, Any] = {}
        self.channels_first = channels_first(program.graph.nodes)

    def graph(self) -> Graph:
        """The Graph, channels last at its edges, with transposes around every convolution."""
        signature = self.program.graph_signature
        written = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
        if written:
            raise UnsupportedOp(
                f"{self.title}: forward writes to {written[0]}; no state between calls wanted"
            )
        held = self._held(signature)
        inputs: list[Node] = []
        outputs: list[Node] = []
        for fx in self.program.graph.nodes:
            if fx.op == "placeholder":
                self.values[fx] = held.get(fx.name) or self._input(fx, inputs)
            elif fx.op == "call_function":
                self.values[fx] = self._call(fx)
            elif fx.op == "output":
                outputs = [self._output(value) for value in fx.args[0]]
            else:
                raise UnsupportedOp(
                    f"{fx.name} ({fx.op}): a branch or loop inside forward; "
                    f"straight code wanted; {WORKS}"
                )
        return Graph(tuple(inputs), tuple(outputs), name=self.title)

    def _held(self, signature: Any) -> dict[str, Const]:
        """Parameters, buffers and lifted constants by the name of their placeholder."""
        program = self.program
        held = {}
        for table in (signature.inputs_to_parameters, signature.inputs_to_buffers):
            for placeholder, path in table.items():
                tensor = program.state_dict.get(path, program.constants.get(path))
                held[placeholder] = Const(tensor, path)
        for placeholder, path in signature.inputs_to_lifted_tensor_constants.items():
            held[placeholder] = Const(program.constants[path])
        return held

    def _input(self, fx: Any, inputs: list[Node]) -> Node:
        shape = tuple(int(d) for d in fx.meta["val"].shape)
        name = self.builder.unique(fx.name)
        if fx in self.channels_first:
            rank = len(shape)
            node = graph_input(tuple(shape[a] for a in _CHANNELS_LAST[rank]), DType.F32, name)
            inputs.append(node)
            turned = self.builder.unique(f"{name}.to_nchw")
            return Node(Op.TRANSPOSE, (node,), Transpose(_CHANNELS_FIRST[rank]), turned)
        inputs.append(graph_input(shape, DType.F32, name))
        return inputs[-1]

    def _output(self, fx: Any) -> Node:
        value = self.values.get(fx)
        if not isinstance(value, Node):
            raise ImportFailed(f"{self.title}: an output does not depend on the inputs; drop it")
        if fx in self.channels_first:
            name = self.builder.unique(f"{value.name}.to_nhwc")
            perm = _CHANNELS_LAST[len(value.type.shape)]
            return Node(Op.TRANSPOSE, (value,), Transpose(perm), name)
        return value

    def _call(self, fx: Any) -> Any:
        where = place(fx)
        if getattr(fx.target, "__name__", "") == "getitem":
            part = self.values[fx.args[0]][fx.args[1]]
            if part is None and fx.users:
                raise UnsupportedOp(
                    f"{where}: uses a second result of {fx.args[0].target}; only its first works"
                )
            return part
        operands = [self.values[a] for a in fx.all_input_nodes]
        schema = getattr(fx.target, "_schema", None)
        if schema is not None and not schema.returns:
            return None  # torch's own assertions: shapes are fixed here, so they hold
        if schema is not None and all(isinstance(v, (Const, tuple)) for v in operands):
            return self._folded(fx)
        if schema is None or str(fx.target) not in HANDLERS:
            if str(fx.target).startswith("aten.full_like"):
                return Const(self.torch.full(fx.meta["val"].shape, float(fx.args[1])))
            raise UnsupportedOp(no_kernel(fx))
        args = {a.name: a.default_value for a in schema.arguments}
        args |= dict(zip(args, (self._operand(a) for a in fx.args), strict=False))
        args |= {key: self._operand(value) for key, value in fx.kwargs.items() if key in args}
        result = fx.meta.get("val")
        first = result[0] if isinstance(result, (tuple, list)) else result
        if first.dtype != self.torch.float32:
            raise UnsupportedOp(f"{where}: the result is {first.dtype}; torch.float32 wanted")
        shape = tuple(int(d) for d in first.shape)
        call = Call(self.builder, where, node_name(fx), args, shape)
        try:
            return HANDLERS[str(fx.target)](call)
        except InvalidGraph as error:
            raise UnsupportedOp(f"{where}: {error}") from None

    def _operand(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._operand(v) for v in value]
        return self.values[value] if isinstance(value, self.torch.fx.Node) else value

    def _folded(self, fx: Any) -> Any:
        """The result of a call on constants alone, computed by torch itself."""

        def tensor(node: Any) -> Any:
            return self.values[node].tensor

        args = self.torch.fx.node.map_arg(fx.args, tensor)
        kwargs = self.torch.fx.node.map_arg(fx.kwargs, tensor)
        with self.torch.no_grad():
            result = fx.target(*args, **kwargs)
        if isinstance(result, (tuple, list)):
            return tuple(Const(r) for r in result)
        return Const(result)
