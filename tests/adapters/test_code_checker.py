"""Generated programs: right and wrong ones, and those that take too much."""

import time
from pathlib import Path

import pytest

from adapters.code_checker import SubprocessChecker, _namespaces
from ports.program_checker import ProgramLimits

LIMITS = ProgramLimits(time_s=5.0, memory_mb=256)
CHECKER = SubprocessChecker()


def test_a_program_that_ends_well_passes() -> None:
    assert CHECKER.check("assert 1 + 1 == 2", LIMITS) is None


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert 1 == 2, 'wrong'", "AssertionError: wrong"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(0)\nassert False", "ended early with status 0"),
        ("import os\nos._exit(0)", "ended early with status 0"),
        ("held = bytearray(1 << 30)", "MemoryError"),
        ("open('big', 'wb').write(b'x' * (32 << 20))", "File too large"),
        ("print('x' * 100)\nraise SystemExit('done')", "done"),
    ],
)
def test_a_program_that_does_not_is_told_why(program: str, reason: str) -> None:
    found = CHECKER.check(program, LIMITS)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass",
        "import time\ntime.sleep(60)",
        "import subprocess\nsubprocess.run(['sleep', '60'])",
    ],
)
def test_a_program_is_ended_when_its_time_is_up(program: str) -> None:
    began = time.monotonic()
    found = CHECKER.check(program, ProgramLimits(time_s=1.0, memory_mb=256))
    assert found == "it ran longer than 1 s"
    assert time.monotonic() - began < 10


def test_it_runs_in_an_empty_folder_without_our_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET", "x")
    program = (
        "import os\nassert 'SECRET' not in os.environ\n"
        "assert sorted(os.listdir()) == ['program.py', 'stderr', 'stdout'], os.listdir()\n"
        f"assert not os.getcwd().startswith({str(Path.cwd())!r})\nopen('mine', 'w').close()"
    )
    assert CHECKER.check(program, LIMITS) is None
    assert not Path("mine").exists()


@pytest.mark.skipif(not _namespaces(), reason="this system lets no user make namespaces")
def test_a_program_has_no_network_and_leaves_no_process(tmp_path: Path) -> None:
    connect = (
        "import socket\ns = socket.socket()\ns.settimeout(2)\n"
        "try:\n    s.connect(('127.0.0.1', {port}))\nexcept OSError:\n    pass\n"
        "else:\n    raise AssertionError('connected')"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert CHECKER.check(connect.format(port=port), LIMITS) is None
    assert "without network" in CHECKER.isolation()
    alive = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(alive)!r}).touch()"
    spawn = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
    )
    assert CHECKER.check(spawn, LIMITS) is None
    time.sleep(3)
    assert not alive.exists()
