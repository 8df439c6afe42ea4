"""Graph -> torch.nn.Module -> Graph: training any imported network in torch.

The module computes what the Graph computes, in the Graph's own axis order (images [N,H,W,C]), with
the Graph's float constants as its parameters. It takes any batch size: where a reshape keeps the
first axis, that axis follows the batch that comes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from milliwatt.errors import BadData, InvalidGraph, UnsupportedOp
from milliwatt.formats.torch import import_torch
from milliwatt.ir.attrs import (
    NO_CLAMP,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    ConvAdd,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Reshape,
    Softmax,
    Transpose,
)
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

if TYPE_CHECKING:
    import torch

_NHWC, _NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def to_torch(graph: Graph) -> torch.nn.Module:
    """A module that computes `graph` (f32), trainable, equal to the reference to float rounding.

    Takes the graph's inputs as f32 tensors in the graph's axis order, any batch; returns a tensor,
    or a tuple where the graph has several outputs. Every constant of one axis or more is a
    parameter under its node's name; one without axes (a number written in the model) is a buffer.

    Raises InvalidGraph for a quantized graph, ToolMissing without PyTorch.
    """
    module_class = _module_class(import_torch())
    for node in graph.nodes():
        if node.type.dtype is not DType.F32:
            raise InvalidGraph(
                f"{node.name} ({node.op}): result is {node.type.short}; the torch bridge wants f32 "
                "throughout; take the graph as it was before mw.quantize"
            )
        if node.op not in (Op.INPUT, Op.CONSTANT) and node.op not in _FUNCTIONS:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): the torch bridge does not run this operator"
            )
    return cast("torch.nn.Module", module_class(graph))


def from_torch(module: torch.nn.Module, graph: Graph) -> Graph:
    """`graph` with the weights that `module` (made by `to_torch(graph)`) holds now; names stay.

    Raises InvalidGraph where a parameter is missing or has another shape, BadData where training
    left NaN or infinite values.
    """
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}

    def fresh(node: Node) -> Node | None:
        if not node.is_constant:
            return None
        if node.name not in held:
            raise InvalidGraph(
                f"{node.name} (constant): the module has no parameter of this name; "
                "pass a module made by to_torch from this graph"
            )
        value = held[node.name].detach().cpu().numpy()
        if value.shape != node.type.shape:
            raise InvalidGraph(
                f"{node.name} (constant): the parameter has shape {list(value.shape)}; "
                f"{list(node.type.shape)} wanted"
            )
        if not np.isfinite(value).all():
            count = int(np.count_nonzero(~np.isfinite(value)))
            raise BadData(
                f"{node.name} (constant): {count} weights are NaN or infinite after training; "
                "finite wanted; lower the learning rate"
            )
        return constant(value.astype(np.float32), node.name)

    return graph.rewrite(fresh)


def _module_class(torch: Any) -> Any:
    """The module's class; made on demand because its base class is torch's."""

    class GraphModule(torch.nn.Module):  # type: ignore[misc]
        """Runs a Graph node by node."""

        def __init__(self, graph: Graph) -> None:
            super().__init__()
            self.nodes = list(graph.nodes())
            self.graph_inputs, self.graph_outputs = graph.inputs, graph.outputs
            for node in self.nodes:
                if node.is_constant:
                    _hold(torch, self, node)

        def forward(self, *inputs: Any) -> Any:
            """The graph's outputs for its inputs."""
            if len(inputs) != len(self.graph_inputs):
                raise BadData(f"{len(inputs)} inputs given; {len(self.graph_inputs)} wanted")
            values = dict(zip(self.graph_inputs, inputs, strict=True))
            for node, x in values.items():
                if tuple(x.shape[1:]) != node.type.shape[1:]:
                    raise BadData(
                        f"input {node.name}: {list(x.shape)} given; {node.type.short} wanted"
                    )
            for node in self.nodes:
                if node.is_constant:
                    values[node] = _held(self, node.name)
                elif node not in values:
                    values[node] = _FUNCTIONS[node.op](torch, node, *(values[s] for s in node.src))
            outputs = tuple(values[n] for n in self.graph_outputs)
            return outputs if len(outputs) > 1 else outputs[0]

    return GraphModule


def _hold(torch: Any, module: Any, node: Node) -> None:
    """Hold a constant under its node's name; torch spells a dot as a step into a submodule.

    It goes into torch's tables directly, because `register_parameter` refuses names that are
    attributes too (`forward`) or that stand for a submodule as well (`conv` beside `conv.bias`).
    """
    *path, leaf = node.name.split(".")
    value = torch.from_numpy(node.value.copy())
    for step in path:
        module = module._modules.setdefault(step, torch.nn.Module())
    if node.type.shape:
        module._parameters[leaf] = torch.nn.Parameter(value)
    else:
        module._buffers[leaf] = value


def _held(module: Any, name: str) -> Any:
    *path, leaf = name.split(".")
    for step in path:
        module = module._modules[step]
    value = module._parameters.get(leaf)
    return module._buffers[leaf] if value is None else value


# --- one function per operator: f(torch, node, *operands) -> tensor


def _clipped(torch: Any, x: Any, clamp: Clamp) -> Any:
    return x if clamp == NO_CLAMP else torch.clamp(x, *clamp)


def _padded(torch: Any, x: Any, padding: tuple[int, int, int, int], value: float = 0.0) -> Any:
    """[N,C,H,W] with (top, bottom, left, right) more cells."""
    top, bottom, left, right = padding
    if not any(padding):
        return x
    return torch.nn.functional.pad(x, (left, right, top, bottom), value=value)


def _conv(torch: Any, node: Node, x: Any, weight: Any, bias: Any = None) -> Any:
    attrs = node.attrs.conv if isinstance(node.attrs, ConvAdd) else cast(Conv2d, node.attrs)
    image = _padded(torch, x.permute(_NCHW), attrs.padding)
    depthwise = node.op is Op.DEPTHWISE_CONV2D
    kernel = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(_NCHW)
    groups = x.shape[3] if depthwise else x.shape[3] // weight.shape[3]
    y = torch.nn.functional.conv2d(
        image, kernel, bias, stride=attrs.stride, dilation=attrs.dilation, groups=groups
    )
    return _clipped(torch, y.permute(_NHWC), attrs.clamp)


def _conv_add(torch: Any, node: Node, *operands: Any) -> Any:
    *conv, skip = operands
    y = _conv(torch, node, *conv) + skip
    return _clipped(torch, y, cast(ConvAdd, node.attrs).add.clamp)


def _fully_connected(torch: Any, node: Node, x: Any, weight: Any, bias: Any = None) -> Any:
    y = torch.nn.functional.linear(x, weight, bias)
    return _clipped(torch, y, cast(FullyConnected, node.attrs).clamp)


def _max_pool(torch: Any, node: Node, x: Any) -> Any:
    attrs = cast(Pool2d, node.attrs)
    image = _padded(torch, x.permute(_NCHW), attrs.padding, -np.inf)
    y = torch.nn.functional.max_pool2d(image, attrs.kernel, attrs.stride)
    return _clipped(torch, y.permute(_NHWC), attrs.clamp)


def _average_pool(torch: Any, node: Node, x: Any) -> Any:
    attrs = cast(Pool2d, node.attrs)
    image = x.permute(_NCHW)
    pool = torch.nn.functional.avg_pool2d
    y = pool(_padded(torch, image, attrs.padding), attrs.kernel, attrs.stride)
    if any(attrs.padding):
        # Padded cells do not take part: divide by the share of the window that lies in the image.
        inside = _padded(torch, torch.ones_like(image[:1, :1]), attrs.padding)
        y = y / pool(inside, attrs.kernel, attrs.stride)
    return _clipped(torch, y.permute(_NHWC), attrs.clamp)


def _mean(torch: Any, node: Node, x: Any) -> Any:
    attrs = cast(Mean, node.attrs)
    return x.mean(dim=attrs.axes, keepdim=attrs.keep_dims) if attrs.axes else x


def _elementwise(torch: Any, node: Node, a: Any, b: Any) -> Any:
    y = a + b if node.op is Op.ADD else a - b if node.op is Op.SUB else a * b
    return _clipped(torch, y, cast(Elementwise, node.attrs).clamp)


def _softmax(torch: Any, node: Node, x: Any) -> Any:
    return torch.softmax(x * cast(Softmax, node.attrs).beta, dim=-1)


def _pad(torch: Any, node: Node, x: Any) -> Any:
    attrs = cast(Pad, node.attrs)
    flat = [amount for pair in reversed(attrs.paddings) for amount in pair]
    return torch.nn.functional.pad(x, flat, value=attrs.value or 0.0)


def _reshape(torch: Any, node: Node, x: Any) -> Any:
    shape, before = cast(Reshape, node.attrs).shape, node.src[0].type.shape
    if shape and before and shape[0] == before[0]:
        return x.reshape(x.shape[0], *shape[1:])
    return x.reshape(shape)


def _concat(torch: Any, node: Node, *parts: Any) -> Any:
    return torch.cat(parts, dim=cast(Concat, node.attrs).axis)


_FUNCTIONS: dict[Op, Callable[..., Any]] = {
    Op.CONV2D: _conv,
    Op.DEPTHWISE_CONV2D: _conv,
    Op.CONV2D_ADD: _conv_add,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.MAX_POOL2D: _max_pool,
    Op.AVERAGE_POOL2D: _average_pool,
    Op.MEAN: _mean,
    Op.ADD: _elementwise,
    Op.SUB: _elementwise,
    Op.MUL: _elementwise,
    Op.CLAMP: lambda torch, node, x: _clipped(torch, x, cast(ClampAttrs, node.attrs).bounds),
    Op.LOGISTIC: lambda torch, node, x: torch.sigmoid(x),
    Op.TANH: lambda torch, node, x: torch.tanh(x),
    Op.SOFTMAX: _softmax,
    Op.PAD: _pad,
    Op.RESHAPE: _reshape,
    Op.TRANSPOSE: lambda torch, node, x: x.permute(cast(Transpose, node.attrs).perm),
    Op.CONCAT: _concat,
}
