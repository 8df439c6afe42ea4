"""Write the tables and the transcript of README.md from bench/results, between their markers.

`make docs` runs it; a test fails when the README and the measurements differ.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "bench" / "results"
NAMES = {
    "kws": "keyword spotting",
    "vww": "person detection",
    "ic": "image classification",
    "ad": "anomaly detection",
    "sww": "wake word",
}


def rows(name: str) -> list[dict[str, str]]:
    """A results file; no rows where it was never measured."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def models_table() -> str:
    """The five models on the board with the default compiler for speed, beside other engines."""
    found = {
        (row["model"], row["board"]): row
        for row in rows("models")
        if (row["toolchain"], row["optimize"]) == ("zig", "speed")
    }
    lines = [
        "| model | ms | best published, ms | cycles/MAC | uJ | flash | RAM "
        "| CMSIS-NN: time | flash | RAM |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for model in dict.fromkeys(model for model, _ in found):
        row, dual = found[model, "nucleo-l4r5zi"], found[model, "nucleo-l4r5zi, dual bank"]
        best = f"{row['published_ms']}, {row['published_by']}" if row["published_ms"] else "none"
        lines.append(
            f"| {NAMES[model]} | {float(row['latency_ms']):.2f} | {best} "
            f"| {float(row['cycles_per_mac']):.2f} | {float(row['energy_uj']):,.0f} "
            f"| {int(row['flash_bytes']):,} | {int(row['ram_bytes']):,} "
            f"| {float(dual['cmsis_time']):.2f} | {float(row['cmsis_flash']):.2f} "
            f"| {float(row['cmsis_ram']):.2f} |"
        )
    return "\n".join(lines)


AIMS = {"speed": "speed", "balanced": "balanced", "ram": "RAM", "flash": "flash"}


def aims_table() -> str:
    """What each aim gives on the board: milliseconds, flash and RAM."""
    found = {
        (row["model"], row["optimize"]): row
        for row in rows("models")
        if (row["board"], row["toolchain"]) == ("nucleo-l4r5zi", "zig")
    }
    lines = [
        f"| model | {' | '.join(f'for {text}' for text in AIMS.values())} |",
        "|---|" + "--:|" * len(AIMS),
    ]
    for model in dict.fromkeys(model for model, _ in found):
        cells = [
            f"{float(row['latency_ms']):.1f} ms, {int(row['flash_bytes']) / 1024:.1f} + "
            f"{int(row['ram_bytes']) / 1024:.1f} KiB"
            for row in (found[model, aim] for aim in AIMS)
        ]
        lines.append(f"| {NAMES[model]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ladder_table() -> str:
    """Differing bytes by rung, all models together."""
    inputs: dict[str, int] = {}
    differing: dict[str, int] = {}
    compared: dict[str, int] = {}
    for row in rows("ladder"):
        rung = row["rung"]
        inputs[rung] = inputs.get(rung, 0) + int(row["inputs"])
        differing[rung] = differing.get(rung, 0) + int(row["differing_bytes"])
        compared[rung] = compared.get(rung, 0) + int(row["output_bytes"])
    lines = ["| rung | inputs | output bytes | differing |", "|---|--:|--:|--:|"]
    lines += [
        f"| {rung} | {inputs[rung]} | {compared[rung]:,} | {differing[rung]} |" for rung in inputs
    ]
    return "\n".join(lines)


def conformance_table() -> str:
    """Generated files against the judges: differing bytes of integers, worst error of floats."""
    suite = [row for row in rows("conformance") if not row["operator"].endswith(".tflite")]
    rungs = [key.removesuffix("_files") for key in (suite or [{}])[0] if key.endswith("_files")]
    lines = [
        "| rung | files | differing bytes, integers | largest difference, floats |",
        "|---|--:|--:|--:|",
    ]
    for rung in rungs:
        files, differing = (
            sum(int(row[f"{rung}_{what}"]) for row in suite)
            for what in ("files", "differing_bytes")
        )
        worst = max(float(row[f"{rung}_worst_error"]) for row in suite)
        lines.append(f"| {rung} | {files:,} | {differing:,} | {worst:.0e} |")
    return "\n".join(lines)


def transcript() -> str:
    """Real commands with their output."""
    path = RESULTS / "transcript.txt"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return f"```text\n{text}```"


PARTS = {
    "transcript": transcript,
    "conformance": conformance_table,
    "models": models_table,
    "aims": aims_table,
    "ladder": ladder_table,
}


def render(text: str) -> str:
    """The README's text with every part replaced by the present one."""
    for name, part in PARTS.items():
        begin, end = f"<!-- {name}: from bench/results -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end), re.S)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no lines {begin!r} and {end!r}")
        fresh = f"{begin}\n{part()}\n{end}"
        text = pattern.sub(lambda _, fresh=fresh: fresh, text)
    return text


def main() -> None:
    """Rewrite README.md."""
    README.write_text(render(README.read_text(encoding="utf-8")), encoding="utf-8")
    print("wrote the measured parts of README.md")


if __name__ == "__main__":
    main()
