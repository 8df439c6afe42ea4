"""The command as a process: pipes, signals, start-up, completion."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import milliwatt as mw
from support.command import Files

PROMPT_S = 30
"""What ends at once has ended by then, however busy the machine is."""
MW = [sys.executable, "-m", "milliwatt"]


def test_a_closed_pipe_is_quiet() -> None:
    """`mw boards | head -1` ends without a word on stderr."""
    code = "import sys; from milliwatt.cli import main; sys.stdin.read(); main(['boards'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(120) == 1


@pytest.mark.skipif(os.name == "nt", reason="closing a stream so is POSIX")
@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_quiet(closed: int) -> None:
    """`mw boards >&-` and `2>&-` do their work and say nothing of it there."""
    command = f'exec "$0" -m milliwatt boards {closed}>&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (closed == 2)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_interrupt_ends_promptly(files: Files) -> None:
    """SIGINT during a stack of runs that takes many minutes: exit 130 at once, and one line."""
    code = (
        "import sys, milliwatt.cli_run as cli_run\n"
        "from milliwatt.cli import main\n"
        "split = cli_run.split\n"
        "say = lambda: print('ready', file=sys.stderr, flush=True)\n"
        "cli_run.split = lambda *given: say() or split(*given) * 10**5\n"
        f"main(['run', {str(files.model)!r}, '-i', {str(files.three)!r}])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PROMPT_S)
        assert (process.returncode, out, err) == (130, "", "mw: interrupted\n")


@pytest.mark.parametrize("arguments", [["--help"], ["boards"], ["--version"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    """Help and the list of boards come at once: no NumPy, torch, unicorn or capstone."""
    code = (
        "import sys, atexit\n"
        "heavy = {'numpy', 'torch', 'unicorn', 'capstone', 'sklearn', 'elftools'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        f"from milliwatt.cli import main; main({arguments})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout


def test_running_a_model_does_not_import_torch(files: Files) -> None:
    """torch takes over a second to import; only a torch model needs it."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "from milliwatt.cli import main\n"
        f"main(['run', {str(files.model)!r}, '-b', 'host', '-i', {str(files.one)!r}, '--json'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"
    assert json.loads(done.stdout)["bit_exact"] is True


def test_output_goes_through_an_ascii_terminal() -> None:
    """Lines of tables become question marks, not a crash."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*MW, "boards"], capture_output=True, env=env, check=True)
    assert b"nucleo-l4r5zi" in done.stdout
    assert done.stdout.isascii()


def test_board_names_complete() -> None:
    """What the shell's completion script asks for after `mw run m --board nucleo-l`."""
    env = {
        **os.environ,
        "_MW_COMPLETE": "complete_bash",
        "COMP_WORDS": "mw run m.tflite --board nucleo-l",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(MW, capture_output=True, text=True, env=env, check=False)
    assert done.stdout.split() == ["nucleo-l4r5zi"]
    assert "nucleo-l4r5zi" in {board.name for board in mw.boards()}


def test_python_m_is_the_command() -> None:
    """`python -m milliwatt` and `mw` are one."""
    done = subprocess.run([*MW, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"milliwatt {mw.__version__}\n"


EXAMPLES = Path(__file__).parents[3] / "examples"
ARGUMENTS = {  # of each example, and what it prints
    "energy_budget.py": (["MODEL", "nucleo-l4r5zi"], "days on a CR2032"),
    "fine_tune.py": ([], "fine-tuned:"),
    "run_tflite.py": (["MODEL"], "raspberry-pi-pico"),
    "torch_to_firmware.py": (["out"], "C sources and firmware.elf are in out"),
}


def test_examples_are_short_and_all_run_here() -> None:
    """Every file of examples/ is in ARGUMENTS and has at most 80 lines."""
    sources = sorted(EXAMPLES.glob("*.py"))
    assert [source.name for source in sources] == list(ARGUMENTS)
    for source in sources:
        assert len(source.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize(
    "name",
    [
        "energy_budget.py",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ARGUMENTS if n != "energy_budget.py"),
    ],
)
def test_examples_run(name: str, files: Files, tmp_path: Path) -> None:
    """Each example as a person runs it, with warnings as errors; no exactness is missing."""
    arguments, wanted = ARGUMENTS[name]
    if name in ("fine_tune.py", "torch_to_firmware.py"):
        pytest.importorskip("torch", reason="torch is an extra: pip install 'milliwatt[torch]'")
    if name == "fine_tune.py":
        pytest.importorskip("sklearn", reason="scikit-learn is an extra: milliwatt[demo]")
    given = [str(files.model) if a == "MODEL" else a for a in arguments]
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert wanted in done.stdout
    lines = [line for line in done.stdout.splitlines() if "bit-exact" not in line]
    assert not any(line.rstrip().endswith(" no") for line in lines), done.stdout
    if name == "fine_tune.py":
        before, after, board = (float(p) for p in re.findall(r"([\d.]+)%", done.stdout)[:3])
        assert before < 30
        assert min(after, board) > 80


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("energy_budget.py", ["gone.tflite"], "gone.tflite: does not exist"),
        ("energy_budget.py", ["MODEL", "nope"], "board 'nope' is not known"),
        ("energy_budget.py", ["MODEL", "cortex-m4"], "gives no active or no sleep power"),
        ("run_tflite.py", ["gone.onnx"], ".onnx is no format that milliwatt reads"),
        ("run_tflite.py", [], "usage: run_tflite.py MODEL.tflite"),
    ],
)
def test_examples_tell_mistakes_in_one_line(
    name: str, arguments: list[str], message: str, files: Files, tmp_path: Path
) -> None:
    """What a person gets wrong is one line and exit code 1, as with `mw`."""
    given = [str(files.model) if a == "MODEL" else a for a in arguments]
    command = [sys.executable, str(EXAMPLES / name), *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions and user ids are POSIX")
@pytest.mark.parametrize("owner", ["file", "root"])
def test_a_place_that_may_not_be_written(files: Files, owner: str) -> None:
    """A path below a regular file, and a folder of somebody else's: one line, nothing left.

    Root may write anywhere, so root's process becomes `nobody` first; imports are done by then.
    """
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        place = folder / "locked"
        if owner == "file":
            place.write_text("a file")
        else:
            place.mkdir()
        for source, copy in ((files.float_model, "m.mwg"), (files.three, "x.npy")):
            (folder / copy).write_bytes(source.read_bytes())
            (folder / copy).chmod(0o644)
        place.chmod(0o555)
        quantize = ["quantize", str(folder / "m.mwg"), "--data", str(folder / "x.npy"), "-o"]
        code = (
            "import os\nfrom milliwatt import cli_errors\nfrom milliwatt.cli import app\n"
            f"assert cli_errors.run(app, {[*quantize, str(folder / 'first.mwg'), '--json']}) == 0\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"raise SystemExit(cli_errors.run(app, {[*quantize, str(place / 'out.mwg')]}))\n"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = {"file": "not a directory", "root": "permission denied"}[owner]
        where = f"{place / 'out.mwg'}: cannot be written ({reason}); nothing was left behind"
        assert done.stderr.splitlines()[-1] == f"mw: error: {where}"
        assert done.returncode == 1
        assert sorted(p.name for p in folder.iterdir()) == ["first.mwg", "locked", "m.mwg", "x.npy"]
        place.chmod(0o755)
        assert place.is_file() or not list(place.iterdir())


RUN_FOR_A_WHILE = """
import sys, threading
from rich.progress import Progress
from milliwatt import cli_run, cli_show
from milliwatt.cli import main
cli_show.PATIENCE_S = 0.1
shown = threading.Event()
start, run_many = Progress.start, cli_run.api.Firmware.run_many
Progress.start = lambda self: (start(self), shown.set())
def patient(self, xs):
    # Inside the generator, because the clock runs while its first item is awaited.
    if sys.stderr.isatty():
        assert shown.wait(60), "no clock after 60 s"
    yield from run_many(self, xs)
cli_run.api.Firmware.run_many = patient
main(["run", *sys.argv[1:]])
"""


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
def test_one_long_run_shows_that_it_is_alive(files: Files) -> None:
    """The time spent on a terminal's stderr; nothing at all where stderr is a pipe."""
    import pty

    command = [sys.executable, "-c", RUN_FOR_A_WHILE, str(files.model), "-i", str(files.one)]
    quiet = subprocess.run(command, capture_output=True, check=True)
    assert quiet.stderr == b""
    reader, writer = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, env=env) as process:
        os.close(writer)
        seen = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal with EIO
            while piece := os.read(reader, 4096):
                seen += piece
        assert process.stdout is not None
        assert process.stdout.read() == quiet.stdout
    os.close(reader)
    assert b"running on nucleo-l4r5zi" in seen
    assert b"0:00:00" in seen
