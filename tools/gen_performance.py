"""Write the measured parts of docs/performance.md: inner loops, and cycles of layers.

    python tools/gen_performance.py

links the layers of CASES in one firmware, by zig and by gcc, runs it on the emulated board, and
takes the loops of LOOPS out of the image. A test runs the same and says when the page is stale.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milliwatt.compiler.bind import Call, choices
from milliwatt.compiler.build import link
from milliwatt.compiler.cost import predict
from milliwatt.compiler.elf import read_elf
from milliwatt.compiler.firmware import Firmware
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.target import target_of
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import run
from milliwatt.emulate.timing.arm import decode
from milliwatt.emulate.timing.cores import TIMINGS
from milliwatt.emulate.timing.model import cost
from milliwatt.ir.attrs import NO_CLAMP, Elementwise, Pool2d
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from milliwatt.ir.types import DType, Quant

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.nets import LAYERS, Net

from support.disassembly import Loop, inner_loops

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BOARD = "nucleo-l4r5zi"
TOOLCHAINS = ("zig", "gcc")
COLUMNS = 3
"""Instructions in a line of a listing."""


@dataclass(frozen=True)
class Inner:
    """One inner loop of the page.

    function: the C symbol it is in; `index` among its inner loops. `holds`: the one with most
    instructions of this name instead, in a function of a compiler's.
    units: what a turn makes, of kind `unit`. stack: loads and stores on the stack in a turn, and
    why. shown: instructions that the page lists, of one of `repeats` equal steps. work: the count
    of a call's work that one turn, or `turns` of a turn, belongs to; "" where none does.
    """

    function: str
    units: int
    unit: str
    stack: int = 0
    why: str = ""
    index: int = 0
    holds: str = ""
    shown: int = 0
    repeats: int = 1
    work: str = ""
    turns: float = 1

    @property
    def name(self) -> str:
        """Its heading in tables and markers."""
        return self.function if not self.index else f"{self.function} {self.index + 1}"


_END = "where the loop ends"
_ENDS = "where it ends, where sums go"
_FRAME = "weights, constants and places of results, planned"


def _gemm(function: str, steps: int, stack: int, why: str, shown: int, index: int = 0) -> Inner:
    """A loop of unrolled steps of 16 products each."""
    return Inner(
        function,
        16 * steps,
        "product",
        stack,
        why,
        index,
        shown=shown,
        repeats=steps,
        work="steps",
        turns=1 / steps,
    )


LOOPS = (
    _gemm("mw_gemm_one_dsp", 16, 1, _END, 14),
    _gemm("mw_gemm_two_dsp", 14, 1, _END, 0),
    Inner("mw_widen_s8_dsp", 16, "byte", shown=20),
    Inner("mw_widen_s8_dsp", 4, "byte", index=3, shown=8),
    Inner("mw_widen_s8_dsp", 27, "byte", index=4, shown=13, repeats=3),
    _gemm("mw_winograd_gemm_dsp", 8, 2, _ENDS, 14),
    _gemm("mw_winograd_gemm_dsp", 16, 5, _ENDS, 0, index=1),
    Inner("mw_winograd2_input_dsp", 64, "cell", 2, "groups of channels left"),
    Inner("mw_winograd2_output_dsp", 4, "result", 2, "where it ends, the channel"),
    Inner("mw_winograd4_input_dsp", 12, "cell", shown=20),
    Inner("mw_winograd4_output_dsp", 12, "sum"),
    Inner("mw_dw3_s1_lines", 54, "product", 13, _FRAME, shown=18, repeats=3, work="many"),
    Inner("mw_dw3_s2_lines", 36, "product", 13, _FRAME, shown=15, repeats=3, work="many"),
    Inner("mw_taps_lines", 36, "product", index=2, shown=9, repeats=3, work="steps"),
    Inner("mw_widen_lines_dsp", 8, "byte", shown=14),
    Inner(
        "mw_fc_blocks_dsp",
        160,
        "product",
        1,
        _END,
        shown=28,
        repeats=5,
        work="block_steps",
        turns=1 / 5,
    ),
    Inner("mw_linear_row", 8, "result", shown=22, repeats=2, work="blocks"),
    Inner("mw_linear_row", 8, "result", index=2),
    Inner("mw_mul_row", 8, "result", shown=22, repeats=2, work="blocks"),
    Inner("mw_mul_row", 8, "result", index=2),
    Inner("mw_add_steps_fours", 4, "result"),
    Inner("mw_average_many", 16, "byte", holds="sxtab16", shown=15),
)


@dataclass(frozen=True)
class Case:
    """A layer of the page: what it is, its graph of one node, its kernel without `mw_`."""

    what: str
    make: Callable[[], Graph]
    kernel: str
    loop: str = ""


def _pair(op: Op, scales: tuple[float, float, float]) -> Callable[[], Graph]:
    """An operator of two values of 16,384 bytes each; scales of operands and result."""

    def make() -> Graph:
        first, second, out = (Quant.per_tensor(scale, -128) for scale in scales)
        a = graph_input((1, 32, 32, 16), DType.S8, "a", first)
        b = graph_input((1, 32, 32, 16), DType.S8, "b", second)
        return Graph((a, b), (Node(op, (a, b), Elementwise(NO_CLAMP, out), "y"),))

    return make


def _max_pool() -> Graph:
    x = graph_input((1, 32, 32, 16), DType.S8, "x", Quant.per_tensor(0.05, -128))
    return Graph((x,), (Node(Op.MAX_POOL2D, (x,), Pool2d((2, 2), (2, 2)), "y"),))


def _conv16() -> Graph:
    return Net("conv16", (1, 32, 32, 16)).conv(16, (3, 3)).graph()


def _taps(count: int) -> Callable[[], Graph]:
    def made() -> Graph:
        net = Net(f"taps{count}", (1, 28, 1, 128))
        return net.depthwise((count, 1), clamp=NO_CLAMP, same=False).graph()

    return made


def _dense() -> Graph:
    return Net("dense", (1, 128)).dense(128).graph()


_GEMM, _WINOGRAD = "mw_gemm_one_dsp", "mw_winograd_gemm_dsp"
_3X3_16, _3X3_32 = "3 x 3, 32 x 32 x 16 to 16", "3 x 3, 16 x 16 x 32 to 32"
CASES = (
    Case("1 x 1, 25 x 5 x 64 to 64", LAYERS["kws_pointwise"], "conv2d_s8_dsp", _GEMM),
    Case("1 x 1, 24 x 128 to 128", LAYERS["sww_pointwise"], "conv2d_s8_dsp", _GEMM),
    Case("10 x 4 / 2, 49 x 10 x 1 to 64", LAYERS["kws_first"], "conv2d_s8_dsp", _GEMM),
    Case("3 x 3 / 2, 96 x 96 x 3 to 8", LAYERS["vww_first"], "conv2d_s8_dsp", _GEMM),
    Case("3 x 3, 32 x 32 x 3 to 16", LAYERS["ic_first"], "conv2d_s8_dsp", _GEMM),
    Case(_3X3_16, _conv16, "conv2d_s8_dsp", _GEMM),
    Case(_3X3_16, _conv16, "conv2d_winograd2_s8_dsp", f"{_WINOGRAD} 2"),
    Case(_3X3_16, _conv16, "conv2d_winograd4_s8_dsp", f"{_WINOGRAD} 2"),
    Case(_3X3_32, LAYERS["ic_3x3"], "conv2d_s8_dsp", _GEMM),
    Case(_3X3_32, LAYERS["ic_3x3"], "conv2d_winograd2_s8_dsp", _WINOGRAD),
    Case(_3X3_32, LAYERS["ic_3x3"], "conv2d_winograd4_s8_dsp", _WINOGRAD),
    Case(
        "depthwise 3 x 3, 25 x 5 x 64",
        LAYERS["kws_depthwise"],
        "depthwise_conv2d_s8_dsp",
        "mw_dw3_s1_lines",
    ),
    Case(
        "depthwise 3 x 3 / 2, 48 x 48 x 16",
        LAYERS["vww_depthwise"],
        "depthwise_conv2d_s2_s8_dsp",
        "mw_dw3_s2_lines",
    ),
    Case("depthwise 5 x 1, 28 x 128", _taps(5), "depthwise_conv2d_taps_s8_dsp"),
    Case("depthwise 12 x 1, 28 x 128", _taps(12), "depthwise_conv2d_any_s8_dsp", "mw_taps_lines 3"),
    Case("dense, 640 to 128", LAYERS["ad_dense"], "fully_connected_s8_dsp", "mw_fc_blocks_dsp"),
    Case("dense, 128 to 128", _dense, "fully_connected_s8_dsp", "mw_fc_blocks_dsp"),
    Case("add, 32 x 32 x 16", LAYERS["ic_add"], "add_s8_dsp", "mw_linear_row"),
    Case("add, no plane", _pair(Op.ADD, (0.031, 0.047, 0.05)), "add_steps_s8_dsp"),
    Case("mul, 32 x 32 x 16", _pair(Op.MUL, (0.0233, 0.0417, 0.25)), "mul_s8_dsp", "mw_mul_row"),
    Case("average over 25 x 5 x 64", LAYERS["kws_pool"], "average_pool2d_s8_dsp"),
    Case("max 2 x 2, 32 x 32 x 16", _max_pool, "max_pool2d_s8_dsp"),
)


@functools.cache
def _graph() -> tuple[Graph, Mapping[Node, Call]]:
    """All cases, each with inputs of its own, and their kernels."""
    here = board(BOARD)
    calls: dict[Node, Call] = {}
    for number, case in enumerate(CASES):
        (node,) = case.make().outputs
        own = [
            s
            if s.is_constant
            else graph_input(s.type.shape, DType.S8, f"x{number}_{i}", s.type.quant)
            for i, s in enumerate(node.src)
        ]
        again = Node(node.op, tuple(own), node.attrs, f"y{number}")
        found = [c for c in choices(again, target_of(here)) if c.kernel == f"mw_{case.kernel}"]
        assert found, f"{case.what}: {case.kernel} is no choice"
        calls[again] = min(found, key=lambda c: predict(again, c, here).total)
    inputs = tuple(s for node in calls for s in node.src if not s.is_constant)
    return Graph(inputs, tuple(calls), name="performance"), calls


@functools.cache
def firmware(toolchain: str) -> Firmware:
    """All cases in one image; raises ToolMissing without the compiler."""
    graph, calls = _graph()
    return link(bind_program(graph, calls.__getitem__), board(BOARD), toolchain=toolchain)


@dataclass(frozen=True)
class Measured:
    """What a case took: cycles, those of them that waited for the flash."""

    cycles: int
    stalls: int


@functools.cache
def measure(toolchain: str) -> tuple[Measured, ...]:
    """Run all cases; the results equal the reference, bit for bit (AssertionError if not)."""
    graph, _ = _graph()
    rng = np.random.default_rng(0)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in graph.inputs]
    trace = run(firmware(toolchain), given)
    for case, found, wanted in zip(CASES, trace.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=f"{case.what} by {case.kernel}")
    layers = trace.layers[: len(CASES)]
    return tuple(Measured(layer.cycles, layer.flash_stall_cycles) for layer in layers)


_NAMES = ("sb", "sl", "fp", "ip")
"""What the disassembler calls r9 to r12."""


def loop_of(inner: Inner, image: bytes) -> Loop:
    """The loop in a linked image; a compiler may add a suffix to its function's name."""
    names = {s.name for s in read_elf(image).symbols if s.name.split(".")[0] == inner.function}
    loops = [loop for name in sorted(names) for loop in inner_loops(image, name)]
    if inner.holds:
        return max(loops, key=lambda loop: str(loop).count(f"  {inner.holds} "))
    return loops[inner.index]


def cycles_of(loop: Loop, image: bytes) -> int:
    """Cycles of one turn on the board's core, its code in the instruction cache."""
    begin = loop.lines[0].address
    code = next(
        s.data[begin - s.address :][: loop.nbytes]
        for s in read_elf(image).segments
        if s.address <= begin < s.address + len(s.data)
    )
    block = list(decode(code, begin))
    assert not any(i.branch for i in block[:-1]), f"{loop.function}: a branch inside the loop"
    return cost(block, TIMINGS[board(BOARD).core]).taken


def _each(cycles: int, count: int) -> str:
    """Two decimals, halves upwards."""
    return f"{(200 * cycles + count) // (2 * count) / 100:.2f}"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _stack(inner: Inner) -> str:
    return f"{inner.stack} ({inner.why})" if inner.stack else "0"


def loop_table() -> str:
    """All loops: one turn of each."""
    image = firmware("zig").image
    lines = [
        "| loop | a turn makes | instructions | cycles | for one | bytes | on the stack |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for inner in LOOPS:
        loop = loop_of(inner, image)
        cycles = cycles_of(loop, image)
        lines.append(
            f"| `{inner.name}` | {_plural(inner.units, inner.unit)} | {len(loop.lines)} | {cycles} "
            f"| {_each(cycles, inner.units)} | {loop.nbytes} | {_stack(inner)} |"
        )
    return "\n".join(lines)


def _plain(text: str) -> str:
    """An instruction with registers and numbers as the kernels' sources write them."""
    text = text.replace(".w ", " ")
    text = re.sub(r"#-?0x[0-9a-f]+", lambda m: f"#{int(m[0][1:], 16)}", text)
    text = re.sub(r"^(b\w+) #\d+$", r"\1 loop", text)
    return re.sub(r"\b(sb|sl|fp|ip)\b", lambda m: f"r{9 + _NAMES.index(m[0])}", text)


def listing(inner: Inner) -> str:
    """The first of a loop's equal steps, COLUMNS instructions a line, and what a turn takes."""
    image = firmware("zig").image
    loop = loop_of(inner, image)
    texts = [_plain(line.text) for line in loop.lines[: inner.shown]]
    rows = [texts[i : i + COLUMNS] for i in range(0, len(texts), COLUMNS)]
    body = "\n".join("".join(f"{text:32}" for text in row).rstrip() for row in rows)
    cycles = cycles_of(loop, image)
    step = f"The first of {inner.repeats} such steps. " if inner.repeats > 1 else ""
    return (
        f"```text\n{body}\n```\n\n{step}One turn: {cycles} cycles for "
        f"{_plural(inner.units, inner.unit)}, {_each(cycles, inner.units)} each."
    )


def layer_table() -> str:
    """All cases, by both compilers."""
    zig, gcc = (measure(toolchain) for toolchain in TOOLCHAINS)
    image = firmware("zig").image
    loops = {inner.name: inner for inner in LOOPS}
    lines = [
        "| layer | kernel | cycles, zig | cycles, gcc | MACs | for one | in the loop | flash |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for case, call, layer, ours, theirs in zip(
        CASES, _graph()[1].values(), firmware("zig").layers, zig, gcc, strict=True
    ):
        inside = ""
        if case.loop:
            inner = loops[case.loop]
            turns = call.work[inner.work] * inner.turns
            share = turns * cycles_of(loop_of(inner, image), image) / ours.cycles
            inside = f"{100 * share:.0f} %"
        macs = f"{layer.macs:,} | {_each(ours.cycles, layer.macs)}" if layer.macs else " | "
        lines.append(
            f"| {case.what} | `{case.kernel}` | {ours.cycles:,} | {theirs.cycles:,} | {macs} "
            f"| {inside} | {100 * ours.stalls / ours.cycles:.0f} % |"
        )
    compilers = " and ".join(firmware(toolchain).toolchain for toolchain in TOOLCHAINS)
    return "\n".join([*lines, "", f"Compiled by {compilers}."])


def parts() -> dict[str, Callable[[], str]]:
    """What the page's markers name, and who renders it."""
    found: dict[str, Callable[[], str]] = {"loops": loop_table, "layers": layer_table}
    for inner in LOOPS:
        if inner.shown:
            found[inner.name] = functools.partial(listing, inner)
    return found


def split(text: str) -> dict[str, str]:
    """What stands between each pair of markers."""
    found = re.findall(r"<!-- measured: (.*?) -->\n(.*?)\n<!-- end of \1 -->", text, re.S)
    return dict(found)


def render(text: str) -> str:
    """The page's text with every measured part made anew."""
    known = parts()
    for name in split(text):
        begin, end = f"<!-- measured: {name} -->\n", f"\n<!-- end of {name} -->"
        head, rest = text.split(begin, 1)
        text = head + begin + known[name]() + end + rest.split(end, 1)[1]
    return text


def main() -> None:
    """Rewrite docs/performance.md."""
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote the measured parts of docs/{PAGE.name}")


if __name__ == "__main__":
    main()
