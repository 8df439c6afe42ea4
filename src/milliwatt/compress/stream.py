"""Turn a network that sees a whole window into one that sees a few new frames at a time.

Values along the time axis are computed once, when their frames arrive, and kept in ring buffers
(states) for as long as a window reaches back. Integer results are those of the window, bit for bit.
Source: Rybakov et al., "Streaming keyword spotting on mobile devices", Interspeech 2020, section 3.
"""

from __future__ import annotations

import numpy as np

from milliwatt.compress.stream_flow import Flow, Streamer, TooFew
from milliwatt.compress.stream_rules import advance
from milliwatt.errors import BadData, InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Input
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.reference import run_all
from milliwatt.ir.types import Type
from milliwatt.ir.verify import verify


def stream(graph: Graph, *, frames: int = 1, axis: int = 1) -> Graph:
    """The same network fed with `frames` new frames a run instead of a whole window.

    Every input [..., T, ...] with T frames along `axis` becomes [..., frames, ...]; what later runs
    need is kept in states. Two kinds of network stream exactly:

    - a window that ends in one result (a classifier over T frames, unpadded along time): run n
      gives what `graph` gives for the last T frames, frames before the first being real zeros;
    - a sequence, whose results keep the time axis, padded causally (only before, as far as the
      kernel reaches back) or not at all, layers that keep state among them: run n gives the results
      of `graph` for these frames; an unpadded one first gives results that have no window yet.

    Args:
        graph: without loops over time of its own; float or integer.
        frames: new frames a run, a multiple of the product of the strides along time.
        axis: the time axis of the inputs.
    Raises: UnsupportedOp naming the layers that look at the edges of the window or ahead, and what
        to change; InvalidGraph where inputs have no such axis or `frames` does not fit; BadData
        for arguments that are no whole numbers.
    """
    window = _length(graph, axis, frames), frames
    try:
        return _stream(graph, axis, window)
    except TooFew as error:
        more = frames * error.factor
        if more < window[0]:
            _stream(graph, axis, (window[0], more))  # a network that cannot stream at all says so
        raise


def _stream(graph: Graph, axis: int, window: tuple[int, int]) -> Graph:
    """The streaming graph of the kind that `graph` is of."""
    refusal = None
    try:
        # What carries on from window to window is no function of the last one.
        done = None if graph.updates else _build(graph, axis, window, sliding=True)
        if done is not None:
            return done
    except UnsupportedOp as error:
        refusal = error
    try:
        done = _build(graph, axis, window, sliding=False)
        assert done is not None
        return done
    except UnsupportedOp as error:
        raise refusal or error from None


def _length(graph: Graph, axis: int, frames: int) -> int:
    """The inputs' number of frames; InvalidGraph where they have none or too few."""
    for name, number in (("axis", axis), ("frames", frames)):
        if type(number) is not int or number < (name == "frames"):
            least = "1 or more" if name == "frames" else "0 or more"
            raise BadData(f"stream: {name} is {number!r}; a whole number, {least}, wanted")
    sizes = {n.name: n.type.shape[axis] for n in graph.inputs if len(n.type.shape) > axis >= 0}
    if len(set(sizes.values())) != 1:
        raise InvalidGraph(
            f"{graph.name}: inputs have {sizes or 'no'} frames along axis {axis}; "
            "one number of frames wanted, pass axis= (--axis)"
        )
    length = next(iter(sizes.values()))
    if length == 1:
        raise InvalidGraph(
            f"{graph.name}: inputs have one frame along axis {axis}; the model takes a frame a run "
            "already, or its time axis is another: pass axis= (--axis)"
        )
    if not 1 <= frames < length:
        raise InvalidGraph(
            f"{graph.name}: {frames} new frames of a window of {length}; 1 to {length - 1} wanted"
        )
    return length


def _build(graph: Graph, axis: int, window: tuple[int, int], *, sliding: bool) -> Graph | None:
    """The streaming graph of one kind; None where results of a sliding window keep the time axis.

    `window` is (frames of the whole window, new frames a run). UnsupportedOp where the network is
    not of that kind.
    """
    length, frames = window
    silence = run_all(graph, [_zeros(n.type) for n in graph.inputs]) if sliding else None
    streamer = Streamer(graph, silence)
    inputs = []
    for node in graph.inputs:
        if len(node.type.shape) <= axis:
            streamer.done[node] = node
        else:
            first = length - frames if sliding else 0
            streamer.done[node] = Flow(_short(node, axis, frames), node, axis, frames, first)
        inputs.append(streamer.fresh(node))
    for node in graph.nodes():
        if node not in streamer.done:
            streamer.done[node] = advance(streamer, node)
    if sliding and any(isinstance(streamer.done[n], Flow) for n in graph.outputs):
        return None
    for node in graph.outputs:
        _check_output(streamer, node, length, frames)
    outputs = tuple(streamer.fresh(n) for n in graph.outputs)
    name = f"{graph.name}_stream"
    return verify(unique_names(Graph(tuple(inputs), outputs, streamer.updates(), name)))


def _zeros(kind: Type) -> np.ndarray:
    return np.full(kind.shape, kind.zero_point, kind.dtype.numpy)


def _short(node: Node, axis: int, frames: int) -> Node:
    assert isinstance(node.attrs, Input)
    shape = (*node.type.shape[:axis], frames, *node.type.shape[axis + 1 :])
    return graph_input(shape, node.type.dtype, node.name, node.type.quant)


def _check_output(streamer: Streamer, node: Node, length: int, frames: int) -> None:
    """A result of a sequence must begin with its first frame and not lag behind the newest."""
    value = streamer.done[node]
    if isinstance(value, Flow):
        if value.first > 0:
            streamer.refuse(node, value, "gives padding before the first frame")
        if value.first + length * value.step // frames < value.length:
            streamer.refuse(node, value, "looks ahead of the newest frame")
