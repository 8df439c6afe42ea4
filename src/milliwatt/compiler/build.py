"""Graph -> Firmware: compile, emit, link, and check that it fits the board."""

from __future__ import annotations

from dataclasses import dataclass, replace

from milliwatt.compiler.aim import Aim
from milliwatt.compiler.board import Board
from milliwatt.compiler.bound import lower_bound
from milliwatt.compiler.emit import emit
from milliwatt.compiler.firmware import Firmware, Layer, Port
from milliwatt.compiler.program import Program
from milliwatt.compiler.search import Found, Measured, Spare, search
from milliwatt.compiler.toolchain import OPTIMIZE, STACK_BYTES, compile_firmware, verify_fits
from milliwatt.errors import BadData, DoesNotFit
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op


def build(
    graph: Graph,
    board: Board,
    *,
    toolchain: str = "zig",
    optimize: str = "speed",
    stack_bytes: int = STACK_BYTES,
) -> Firmware:
    """Compile `graph` to firmware for `board`.

    Args: toolchain: "zig" or "gcc". optimize: one of aim.AIMS. stack_bytes: RAM kept for the
    stack, a multiple of 8.
    Raises: as `build_for`.
    """
    aim = Aim(optimize)
    return build_for(graph, board, aim, toolchain=toolchain, stack_bytes=stack_bytes).firmware


@dataclass(frozen=True)
class Built:
    """A linked image, and the choice of kernels behind it with what was predicted.

    `compiled_for` is the aim whose compiler flag the image has.
    """

    found: Found
    firmware: Firmware
    compiled_for: str


def build_for(
    graph: Graph,
    board: Board,
    aim: Aim,
    *,
    toolchain: str = "zig",
    stack_bytes: int = STACK_BYTES,
    measured: Measured | None = None,
) -> Built:
    """Choose kernels under an aim and its budgets, compile and link.

    A budget is checked on the linked image; where the prediction was short of it, the search goes
    on with what the image showed. With a budget of flash -Os is tried too. Where the image is too
    large for the board, the board's own memories become the budgets. `measured`: see `search`.
    Raises: InvalidGraph, UnsupportedOp naming a node; DoesNotFit saying what is missing in which
    memory and the layer or the three largest tensors; ToolMissing without the compiler; BadData for
    a latency on the host, whose cycles nobody predicts.
    """
    if aim.latency_ms is not None and board.is_host:
        raise BadData(f"{board.name}: latency_ms is given; only emulated boards have predictions")

    job = _Job(graph, board, toolchain, stack_bytes, measured)
    try:
        return job.build(aim)
    except _TooLarge as error:
        flash_bytes = aim.flash_bytes or board.flash_bytes or None
        ram_bytes = aim.ram_bytes or board.ram_bytes or None
        try:
            return job.build(replace(aim, flash_bytes=flash_bytes, ram_bytes=ram_bytes))
        except DoesNotFit:
            raise DoesNotFit(str(error)) from None


class _TooLarge(DoesNotFit):
    """An image or its arena exceeds the board, whatever the budgets say."""


_SIZE = "flash"
"""The aim that compiles for size."""
_ATTEMPTS = 4
_START_BYTES = 600
"""Start-up code, vectors and memory functions; the first link corrects it."""


@dataclass(frozen=True)
class _Job:
    """What is built, whatever the aim."""

    graph: Graph
    board: Board
    toolchain: str
    stack_bytes: int
    measured: Measured | None

    def build(self, aim: Aim) -> Built:
        """The image that the aim ranks best: compiled by its own flag, and for size where flash
        has a budget, because smaller code may leave room for faster kernels.
        """
        best: Built | None = None
        errors: list[DoesNotFit] = []
        size = [_SIZE] if aim.flash_bytes is not None else []
        for compiled_for in dict.fromkeys([aim.optimize, *size]):
            try:
                best = self._attempt(aim, compiled_for, best) or best
            except DoesNotFit as error:
                errors.append(error)
        if best is None:
            raise next((e for e in errors if isinstance(e, _TooLarge)), errors[-1])
        return best

    def _attempt(self, aim: Aim, compiled_for: str, other: Built | None) -> Built | None:
        """The image of one compiler flag; None where `other`, of another flag, is as good."""
        spare = Spare(_START_BYTES, self.stack_bytes, self.stack_bytes)
        flag = OPTIMIZE[compiled_for]
        for _ in range(_ATTEMPTS):
            found = search(
                self.graph, self.board, aim, measured=self.measured, spare=spare, flag=flag
            )
            if other is not None and other.found.rank <= found.rank:
                return None
            image = self._link(found.program, aim, compiled_for)
            ram_bytes = image.static_ram_bytes + self.stack_bytes
            over = (
                aim.flash_bytes is not None and image.flash_bytes > aim.flash_bytes,
                aim.ram_bytes is not None and ram_bytes > aim.ram_bytes,
            )
            if not any(over):
                return Built(found, image, compiled_for)
            spare = Spare(
                image.flash_bytes - found.flash_bytes,
                ram_bytes - image.arena_bytes,
                self.stack_bytes,
            )
        raise DoesNotFit(
            f"{self.board.name}: no image keeps the budgets: {image.flash_bytes:,} bytes of flash "
            f"and {ram_bytes:,} of RAM with the stack is the nearest; give more"
        )

    def _link(self, program: Program, aim: Aim, compiled_for: str) -> Firmware:
        """The image, named for the aim; its compiler with the flag where that is not the aim's."""
        try:
            image = link(
                program,
                self.board,
                toolchain=self.toolchain,
                optimize=compiled_for,
                stack_bytes=self.stack_bytes,
            )
        except DoesNotFit as error:
            raise _TooLarge(str(error)) from None
        if OPTIMIZE[compiled_for] == OPTIMIZE[aim.optimize]:
            return image
        described = f"{image.toolchain} {OPTIMIZE[compiled_for]}"
        return replace(image, optimize=aim.optimize, toolchain=described)


def link(
    program: Program,
    board: Board,
    *,
    toolchain: str = "zig",
    optimize: str = "speed",
    stack_bytes: int = STACK_BYTES,
) -> Firmware:
    """Emit C for `program`, compile and link it for `board`; errors as in `build`."""
    _check_size(program, board)
    sources = emit(program)
    linked = compile_firmware(
        sources, board, toolchain=toolchain, optimize=optimize, stack_bytes=stack_bytes
    )
    verify_fits(linked, board, largest=largest_tensors(program))
    weights, plan = program.weight_bytes, program.plan
    return Firmware(
        name=program.graph.name,
        board=board,
        toolchain=linked.toolchain,
        optimize=optimize,
        sources=sources,
        image=linked.image,
        symbols=linked.symbols,
        layers=tuple(
            Layer(
                name=step.node.name,
                op=str(step.node.op),
                kernel=step.call.kernel,
                symbol=step.symbol,
                macs=step.macs,
                weight_bytes=step.weight_bytes,
                bound=lower_bound(step.node, step.call, board),
            )
            for step in program.steps
        ),
        inputs=tuple(Port(n.name, n.type, plan.offset(n)) for n in program.graph.inputs),
        outputs=tuple(
            Port(n.name, n.type, at)
            for n, at in zip(program.graph.outputs, plan.outputs, strict=True)
        ),
        states=tuple(Port(n.name, n.type, plan.offset(n)) for n, _ in program.graph.updates),
        arena_bytes=program.arena_bytes,
        flash_bytes=linked.flash_bytes,
        code_bytes=linked.flash_bytes - weights,
        weight_bytes=weights,
        static_ram_bytes=linked.static_ram_bytes,
    )


def _check_size(program: Program, board: Board) -> None:
    """Raise DoesNotFit before anything is compiled where constants or arena alone are too large."""
    for memory, needed, available in (
        ("flash", program.weight_bytes, board.flash_bytes),
        ("RAM", program.arena_bytes, board.ram_bytes),
    ):
        if available and needed > available:
            what = "constants" if memory == "flash" else "arena"
            raise DoesNotFit(
                f"{board.name}: {needed - available:,} bytes of {memory} are missing "
                f"({what} {needed:,} of {available:,}); {largest_tensors(program)}"
            )


def largest_tensors(program: Program, count: int = 3) -> str:
    """The largest tensors in words, for messages: name, type, bytes and the memory they take."""
    sizes = [
        (
            node.type.nbytes,
            f"{node.name} {node.type.short} {node.type.nbytes:,} bytes "
            f"({'flash' if node.op is Op.CONSTANT else 'RAM'})",
        )
        for node in program.graph.nodes()
    ]
    ranked = sorted(sizes, key=lambda pair: -pair[0])[:count]
    return "largest tensors: " + ", ".join(text for _, text in ranked)
