"""Graph -> Firmware: compile, emit, link, and check that it fits the board."""

from __future__ import annotations

from milliwatt.compiler.board import Board
from milliwatt.compiler.emit import emit
from milliwatt.compiler.firmware import Firmware, Layer, Port
from milliwatt.compiler.program import Program, compile_graph
from milliwatt.compiler.target import target_of
from milliwatt.compiler.toolchain import STACK_BYTES, compile_firmware, verify_fits
from milliwatt.errors import DoesNotFit
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

    Args: toolchain: "zig" or "gcc". optimize: "speed" or "flash". stack_bytes: RAM kept for the
    stack, a multiple of 8.
    Raises: InvalidGraph, UnsupportedOp naming a node; DoesNotFit saying what is missing in which
    memory and the three largest tensors; ToolMissing without the compiler.
    """
    return link(
        compile_graph(graph, target_of(board)),
        board,
        toolchain=toolchain,
        optimize=optimize,
        stack_bytes=stack_bytes,
    )


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
