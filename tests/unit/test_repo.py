"""What no compiler checks about the repository: sizes, versions, paths, help texts, layers."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from golden.golden import FOLDER

ROOT = Path(__file__).resolve().parents[2]

# The longest a file of each kind may be. Exceptions: path -> (lines, reason).
LIMITS = {
    "src/**/*.py": 500,
    "tools/**/*.py": 500,
    "bench/**/*.py": 500,
    "tests/**/*.py": 600,
    "src/**/*.c": 250,
    "src/**/*.h": 250,
}
LONG_FILES: dict[str, tuple[int, str]] = {}
FUNCTION_LIMIT = 80
LONG_FUNCTIONS: dict[str, str] = {}
COLUMNS = 100


def tracked(pattern: str = "**/*") -> list[Path]:
    """Files under version control (or about to be) that match a pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of files is unknown")
    known = {ROOT / line for line in listed.stdout.splitlines()}
    return sorted(path for path in ROOT.glob(pattern) if path in known and path.is_file())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function in a Python file, decorators not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("pattern", LIMITS)
def test_files_are_short(pattern: str) -> None:
    """A file that outgrows its limit is split, or listed above with a reason."""
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked(pattern)
    }
    assert sizes or not list(ROOT.glob(pattern)), f"nothing matches {pattern}"
    limit = LIMITS[pattern]
    assert {p: n for p, n in sizes.items() if n > LONG_FILES.get(p, (limit, ""))[0]} == {}


def test_functions_are_short() -> None:
    """A function fits a screen and a half."""
    long = {
        f"{path.relative_to(ROOT).as_posix()}:{name}": lines
        for path in tracked("**/*.py")
        for name, lines in functions(path)
        if lines > FUNCTION_LIMIT
    }
    assert {place: n for place, n in long.items() if place not in LONG_FUNCTIONS} == {}
    assert set(LONG_FUNCTIONS) <= set(long), "an exception that is not needed any more"


@pytest.mark.parametrize("suffix", ["py", "c", "h"])
def test_lines_fit(suffix: str) -> None:
    """At most a hundred columns, no tabs, no trailing spaces, a newline at the end."""
    wrong = []
    for path in tracked(f"**/*.{suffix}"):
        if FOLDER in path.parents:
            continue  # what the compiler wrote
        text = path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            wrong.append(f"{path.relative_to(ROOT)}: no newline at the end")
        wrong += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), start=1)
            if len(line) > COLUMNS or "\t" in line or line != line.rstrip()
        ]
    assert wrong == []


def test_version_is_the_same_everywhere() -> None:
    """pyproject.toml, the package and the newest entry of the changelog agree."""
    import milliwatt

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(
        r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    assert newest is not None
    assert newest[1] == project["version"] == milliwatt.__version__


def test_constraints_are_exact_and_cover_the_dependencies() -> None:
    """Every direct dependency is pinned to the one version that was tested; no URLs, no paths."""
    lines = [
        line.split("#")[0].strip()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    ]
    pins = dict(line.split("==") for line in lines if line)
    assert [v for v in pins.values() if not re.fullmatch(r"[\w.]+", v)] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = {
        re.split(r"[<>=\[; ]", requirement)[0]
        for group in [project["dependencies"], *extras]
        for requirement in group
    } - {"milliwatt"}
    assert wanted - set(pins) == set()


def test_no_absolute_paths_or_addresses_of_one_machine() -> None:
    """Nothing in the tree depends on where one person keeps it, or on a server of theirs."""
    pattern = re.compile(r"/(?:home|root|Users|work|tmp)/\w|localhost|\b\d+\.\d+\.\d+\.\d+:\d+")
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            if path.suffix != ".png":
                found.append(f"{path.relative_to(ROOT)}: binary")
            continue
        if path == Path(__file__):
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:60]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if pattern.search(line)
        ]
    assert found == []


def test_every_make_target_has_help() -> None:
    """`make help` lists every target a person would call, and nothing else is .PHONY."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony is not None
    helped = re.findall(r"^([a-z]+):.*## \S", text, re.M)
    assert sorted(phony[1].split()) == sorted(helped)
    assert {"demo", "test", "check", "bench", "golden", "docs", "help", "clean"} <= set(helped)


def test_ci_calls_make_test() -> None:
    """CI runs what a contributor runs."""
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test\b", text, re.M)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_folder_of_modules_is_a_package() -> None:
    """Without `__init__.py` a folder is left out of the wheel and of the layer contract."""
    folders = {path.parent for path in tracked("src/milliwatt/**/*.py")}
    assert [f.relative_to(ROOT) for f in folders if not (f / "__init__.py").exists()] == []


def test_import_layers_hold() -> None:
    """The contract of DESIGN: a lower layer never imports a higher one."""
    pytest.importorskip("importlinter", reason="import-linter checks the layers")
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_functions_have_docstrings() -> None:
    """The documentation coverage that pyproject.toml asks for."""
    pytest.importorskip("interrogate", reason="interrogate counts docstrings")
    done = subprocess.run(
        [sys.executable, "-m", "interrogate", "-v", "src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("path", ["docs/adr"])
def test_decisions_are_numbered_without_gaps(path: str) -> None:
    """ADRs are 0001, 0002, ... and each states context, decision and consequences."""
    files = sorted((ROOT / path).glob("*.md"))
    assert [f.name[:4] for f in files] == [f"{i:04d}" for i in range(1, len(files) + 1)]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{file.name}: no {heading!r}"


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links in Markdown files name files that exist."""
    broken = []
    for path in tracked("**/*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_operator_table_is_not_stale() -> None:
    """docs/ops.md is what `make docs` writes now."""
    from tools.gen_ops import TARGET, render

    assert TARGET.read_text(encoding="utf-8") == render(), "run: make docs"


def test_every_operator_has_kernel_tests_and_documentation() -> None:
    """A new operator is a row, a kernel, a bind row and a test grid; this says what lacks."""
    from milliwatt.compiler.bind import TABLE
    from milliwatt.ir.ops import OPS, Op
    from support.single_ops import GRID, single_op

    leaves = {Op.INPUT, Op.CONSTANT}
    aliased = {Op.RESHAPE, Op.STATE, Op.PART}  # no kernel: bytes of the arena
    generated = {
        Op.IF,
        Op.WHILE,
        Op.SCAN,
        Op.BY_ROWS,
    }  # no kernel: calls of the kernels of what they hold
    in_others = {Op.PART}  # no grid of its own: the results of the operators that make bundles
    made_by_passes = {Op.LOOKUP, Op.CONV2D_ADD, Op.BY_ROWS, Op.SHIFT_IN}
    assert set(OPS) == set(Op), "operators without a row in ir/ops"
    bound = set(Op) - leaves - aliased - generated
    assert bound == {row.op for row in TABLE}, "operators without a bind row"
    grids = {node.op for pair in GRID for node in single_op(*pair, 0).nodes()}
    tested = set(Op) - leaves - made_by_passes - in_others
    assert tested - grids == set(), "operators without a test grid"
    kernels = {path.stem for path in (ROOT / "src" / "milliwatt" / "kernels").glob("*.c")}
    named = {row.kernel for row in TABLE}
    named |= {file.removesuffix(".c") for row in TABLE for file in row.files}
    assert named == kernels, "bind rows and C files differ"
