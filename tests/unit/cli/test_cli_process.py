"""The command as a process: pipes, signals, start-up, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import milliwatt as mw
from support.command import Files

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
        assert process.wait(20) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_interrupt_ends_promptly(files: Files) -> None:
    """SIGINT during a long stack of runs: exit 130 within two seconds, and one line."""
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
        began = time.monotonic()
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 2
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


def test_examples_compile() -> None:
    """The files in examples/ are short and are Python."""
    folder = Path(__file__).parents[3] / "examples"
    sources = sorted(folder.glob("*.py"))
    assert len(sources) >= 3
    for source in sources:
        text = source.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 80
        compile(text, source.name, "exec")
