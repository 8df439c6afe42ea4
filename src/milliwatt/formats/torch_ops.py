"""ATen operators -> Graph nodes: one handler a call, one table row an operator.

Values keep torch's own axis order ([N,C,H,W], [N,C,L]) from handler to handler; a handler whose IR
operator wants channels last puts a transpose on either side of it; `layout.to_nhwc` removes them.
Source of the operator set: the core ATen IR of torch.export (docs, "IRs").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from milliwatt.formats import torch_recurrent
from milliwatt.formats.torch_call import Call, Const
from milliwatt.ir.attrs import (
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

_TO_LAST = (0, 2, 3, 1)
_TO_FIRST = (0, 3, 1, 2)

Handler = Callable[[Call], Any]


def _pair(value: Any) -> tuple[int, int]:
    items = [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]
    return (items[0], items[-1])


def _to_last(call: Call, x: Node) -> Node:
    """[N,C,H,W] or [N,C,L] as [N,H,W,C] (height 1 for signals)."""
    if len(x.type.shape) == 3:
        x = call.reshaped(x, (*x.type.shape[:2], 1, x.type.shape[2]), "as_image")
    return call.emit(Op.TRANSPOSE, [x], Transpose(_TO_LAST), "to_nhwc")


def _to_first(call: Call, x: Node) -> Node:
    """[N,H,W,C] back to torch's order, in the shape that the call gives."""
    x = call.emit(Op.TRANSPOSE, [x], Transpose(_TO_FIRST), "to_nchw")
    return call.reshaped(x, call.shape, "as_signal")


def _convolution(call: Call) -> Node:
    weight, signal = call.array("weight"), len(call.shape) == 3
    assert weight is not None
    if call.args["transposed"]:
        raise call.unsupported(
            "transposed convolution is read from .tflite files only; upsample, then convolve"
        )
    if len(call.shape) not in (3, 4):
        raise call.unsupported(
            f"the result has {len(call.shape)} axes; [N,C,L] or [N,C,H,W] wanted"
        )
    x = call.x("input")
    channels, groups = x.type.shape[1], int(call.args["groups"])
    if groups not in (1, channels):
        raise call.unsupported(
            f"groups is {groups} for {channels} input channels; 1 or {channels} (depthwise) wanted"
        )
    stride, dilation, (high, wide) = (
        (1, int(call.args[k][0])) if signal else _pair(call.args[k])
        for k in ("stride", "dilation", "padding")
    )
    if signal:
        high = 0
    depthwise = groups > 1

    def arrange(array: np.ndarray) -> np.ndarray:
        image = array[:, :, None, :] if signal else array
        return image.transpose(1, 2, 3, 0) if depthwise else image.transpose(0, 2, 3, 1)

    src = [_to_last(call, x), call.weight("weight", "channels last", arrange)]
    if call.args["bias"] is not None:
        src.append(call.weight("bias", "as it is", np.asarray))
    op = Op.DEPTHWISE_CONV2D if depthwise else Op.CONV2D
    attrs = Conv2d(stride=stride, padding=(high, high, wide, wide), dilation=dilation)
    return _to_first(call, call.emit(op, src, attrs))


def _fully_connected(call: Call, x: Node, weight: Node, bias: Node | None) -> Node:
    return call.emit(Op.FULLY_CONNECTED, [x, weight] + ([bias] if bias else []), FullyConnected())


def _linear(call: Call) -> Node:
    bias = call.weight("bias", "as it is", np.asarray) if call.args["bias"] is not None else None
    return _fully_connected(
        call, call.x("input"), call.weight("weight", "as it is", np.asarray), bias
    )


def _mm(call: Call) -> Node:
    return _fully_connected(call, call.x(), call.weight("mat2", "transposed", np.transpose), None)


def _addmm(call: Call) -> Node:
    bias, weight = call.array("self"), call.weight("mat2", "transposed", np.transpose)
    if (call.args["alpha"], call.args["beta"]) != (1, 1) or bias is None:
        raise call.unsupported("alpha or beta is not 1; 1 wanted")
    outputs = weight.type.shape[0]
    if bias.size != outputs:
        raise call.unsupported(f"bias has {bias.size} values; {outputs} wanted")
    flat = call.weight("self", "flat", np.ravel)
    return _fully_connected(call, call.x("mat1"), weight, flat)


def _batch_norm(call: Call) -> tuple[Node, None, None]:
    """gamma * (x - mean) / sqrt(var + eps) + beta as mul and add with one constant per channel."""
    mean, var = call.array("running_mean"), call.array("running_var")
    assert mean is not None
    assert var is not None
    gamma, beta = call.array("weight"), call.array("bias")
    scale = (1.0 if gamma is None else gamma.astype(np.float64)) / np.sqrt(
        var.astype(np.float64) + call.args["eps"]
    )
    shift = (0.0 if beta is None else beta.astype(np.float64)) - mean * scale
    x = call.x("input")
    per_channel = (1, -1) + (1,) * (len(x.type.shape) - 2)
    scale_node = call.builder.constant(scale.reshape(per_channel), f"{call.name}.scale", None)
    shift_node = call.builder.constant(shift.reshape(per_channel), f"{call.name}.shift", None)
    scaled = call.emit(Op.MUL, [x, scale_node], Elementwise(), "mul")
    return call.emit(Op.ADD, [scaled, shift_node], Elementwise()), None, None


def _clamped(call: Call, low: Any, high: Any) -> Node:
    x = call.x()
    low = -math.inf if low is None else float(low)
    high = math.inf if high is None else float(high)
    if low > high:
        raise call.unsupported(f"bounds are ({low}, {high}); low <= high wanted")
    if isinstance(x.attrs, ClampAttrs):
        # relu6 and hardswish arrive as two clamps; one says the same.
        inner, x = x.attrs.bounds, x.src[0]
        low, high = (min(max(bound, low), high) for bound in inner)
    return call.emit(Op.CLAMP, [x], ClampAttrs((low, high)))


def _softmax(call: Call) -> Node:
    x, rank = call.x(), len(call.shape)
    axis = call.args["dim"] % rank
    if axis == rank - 1:
        return call.emit(Op.SOFTMAX, [x], Softmax())
    perm = (*(i for i in range(rank) if i != axis), axis)
    back = tuple(int(i) for i in np.argsort(perm))
    last = call.emit(Op.TRANSPOSE, [x], Transpose(perm), "to_last")
    return call.emit(
        Op.TRANSPOSE, [call.emit(Op.SOFTMAX, [last], Softmax())], Transpose(back), "from_last"
    )


def _pool(call: Call, op: Op) -> Node:
    """max_pool2d, and avg_pool2d with its padding counted or not."""
    kernel = _pair(call.args["kernel_size"])
    stride = _pair(call.args["stride"]) if call.args["stride"] else kernel
    pads = _pair(call.args["padding"])
    x = call.x()
    if len(call.shape) != 4:
        raise call.unsupported(f"input is {x.type.short}; 4 axes [N,C,H,W] wanted")
    x = _to_last(call, x)
    if op is Op.AVERAGE_POOL2D and call.args["count_include_pad"] and any(pads):
        border = ((0, 0), (pads[0], pads[0]), (pads[1], pads[1]), (0, 0))
        x, pads = call.emit(Op.PAD, [x], Pad(border), "pad"), (0, 0)
    # Padded cells do not take part, so the last window needs no more of them than it reaches.
    sizes, outs = x.type.shape[1:3], call.shape[2:]
    after = [max(0, (outs[i] - 1) * stride[i] + kernel[i] - sizes[i] - pads[i]) for i in range(2)]
    attrs = Pool2d(kernel, stride, (pads[0], after[0], pads[1], after[1]))
    return _to_first(call, call.emit(op, [x], attrs))


def _max_pool(call: Call) -> tuple[Node, None]:
    if _pair(call.args["dilation"]) != (1, 1):
        raise call.unsupported(f"dilation is {call.args['dilation']}; 1 wanted")
    return _pool(call, Op.MAX_POOL2D), None


def _average_pool(call: Call) -> Node:
    if call.args["divisor_override"] is not None:
        raise call.unsupported("divisor_override is set; None wanted")
    return _pool(call, Op.AVERAGE_POOL2D)


def _adaptive_pool(call: Call, op: Op) -> Node:
    x = call.x()
    sizes, outs = x.type.shape[-2:], _pair(call.args["output_size"])
    if len(call.shape) != 4 or any(s % o for s, o in zip(sizes, outs, strict=True)):
        raise call.unsupported(
            f"input {list(sizes)} is pooled to {list(outs)}; sizes that divide the input wanted"
        )
    kernel = (sizes[0] // outs[0], sizes[1] // outs[1])
    return _to_first(call, call.emit(op, [_to_last(call, x)], Pool2d(kernel, kernel)))


def _mean(call: Call) -> Node:
    x = call.x()
    rank = len(x.type.shape)
    dims = call.args.get("dim") or list(range(rank))
    axes = tuple(sorted(d % rank for d in dims))
    return call.emit(Op.MEAN, [x], Mean(axes, bool(call.args.get("keepdim", False))))


def _elementwise(op: Op) -> Handler:
    def handler(call: Call) -> Node:
        if call.args.get("alpha", 1) != 1:
            raise call.unsupported(f"alpha is {call.args['alpha']}; 1 wanted")
        return call.emit(op, [call.x(), call.x("other")], Elementwise())

    return handler


def _div(call: Call) -> Node:
    divisor = call.args["other"]
    if isinstance(divisor, Node):
        raise call.unsupported("the divisor is computed at run time; a constant wanted")
    if isinstance(divisor, Const):
        divisor = divisor.tensor.detach().numpy()
    if np.any(np.asarray(divisor) == 0):
        raise call.unsupported("the divisor holds 0; other values wanted")
    factor = call.node((1.0 / np.asarray(divisor, np.float64)).astype(np.float32), "factor")
    return call.emit(Op.MUL, [call.x(), factor], Elementwise())


def _neg(call: Call) -> Node:
    return call.emit(Op.MUL, [call.x(), call.node(-1.0, "factor")], Elementwise())


def _cat(call: Call) -> Node:
    parts = [call.node(v, f"part{i}") for i, v in enumerate(call.args["tensors"])]
    if len(parts) == 1:
        return parts[0]
    return call.emit(Op.CONCAT, parts, Concat(call.args["dim"] % len(call.shape)))


def _permute(call: Call) -> Node:
    rank = len(call.shape)
    return call.emit(
        Op.TRANSPOSE, [call.x()], Transpose(tuple(d % rank for d in call.args["dims"]))
    )


def _pad(call: Call) -> Node:
    flat, x = call.args["pad"], call.x()
    if any(p < 0 for p in flat):
        raise call.unsupported(f"padding is {flat}; 0 or more wanted (cropping has no kernel)")
    pairs = [(int(flat[i]), int(flat[i + 1])) for i in range(0, len(flat), 2)]
    untouched = [(0, 0)] * (len(x.type.shape) - len(pairs))
    value = float(call.args["value"])
    if not math.isfinite(value):
        raise call.unsupported(f"pad value is {value}; a finite number wanted")
    if not any(flat):
        return x
    return call.emit(Op.PAD, [x], Pad((*untouched, *reversed(pairs)), value or None))


def _reshape(call: Call) -> Node:
    return call.reshaped(call.x(), call.shape)


def _same(call: Call) -> Node:
    x = call.x()
    if x.type.shape != call.shape:
        raise call.unsupported(
            f"{list(x.type.shape)} becomes {list(call.shape)} here; a whole tensor wanted "
            "(no kernel repeats one)"
        )
    return x


def _no_log_softmax(call: Call) -> Node:
    raise call.unsupported(
        "no kernel computes it; return the logits or their softmax: same ranking"
    )


HANDLERS: dict[str, Handler] = {
    "aten.convolution.default": _convolution,
    "aten.linear.default": _linear,
    "aten.mm.default": _mm,
    "aten.addmm.default": _addmm,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm,
    "aten.relu.default": lambda call: _clamped(call, 0.0, None),
    "aten.hardtanh.default": lambda c: _clamped(c, c.args["min_val"], c.args["max_val"]),
    "aten.clamp.default": lambda c: _clamped(c, c.args["min"], c.args["max"]),
    "aten.sigmoid.default": lambda c: c.emit(Op.LOGISTIC, [c.x()], Unary()),
    "aten.tanh.default": lambda c: c.emit(Op.TANH, [c.x()], Unary()),
    "aten._softmax.default": _softmax,
    "aten._log_softmax.default": _no_log_softmax,
    "aten.max_pool2d_with_indices.default": _max_pool,
    "aten.avg_pool2d.default": _average_pool,
    "aten._adaptive_avg_pool2d.default": lambda c: _adaptive_pool(c, Op.AVERAGE_POOL2D),
    "aten.adaptive_max_pool2d.default": lambda c: (_adaptive_pool(c, Op.MAX_POOL2D), None),
    "aten.mean.dim": _mean,
    "aten.mean.default": _mean,
    "aten.add.Tensor": _elementwise(Op.ADD),
    "aten.sub.Tensor": _elementwise(Op.SUB),
    "aten.mul.Tensor": _elementwise(Op.MUL),
    "aten.div.Tensor": _div,
    "aten.neg.default": _neg,
    "aten.cat.default": _cat,
    "aten.permute.default": _permute,
    "aten.constant_pad_nd.default": _pad,
    "aten.view.default": _reshape,
    "aten.unsqueeze.default": _reshape,
    "aten.squeeze.dims": _reshape,
    "aten.clone.default": _same,
    "aten.alias.default": _same,
    "aten.expand.default": _same,
    **torch_recurrent.HANDLERS,
}
