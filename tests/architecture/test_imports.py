"""What importing costs, and who may import whom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "transformers", "rich", "textual", "grpc", "fastapi", "yaml"}


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def modules_after(arguments: list[str]) -> set[str]:
    """Top-level modules loaded by a `tune` command."""
    code = (
        "import sys\n"
        f"sys.argv = ['tune', *{arguments!r}]\n"
        "from hextune.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n@@', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    return set(python(code).stdout.rpartition("@@")[2].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["serve", "http", "--help"], ["help", "runs"]]
)
def test_help_imports_no_framework(arguments: list[str]) -> None:
    loaded = modules_after(arguments)
    assert "typer" in loaded
    assert not loaded & (FRAMEWORKS | {"dependency_injector"})


def test_reading_a_spec_imports_no_model_library(tmp_path: Path) -> None:
    loaded = modules_after(["plan", str(tmp_path / "missing.yaml")])
    assert "dependency_injector" in loaded
    # dependency_injector itself imports FastAPI where it is installed.
    assert not loaded & (FRAMEWORKS - {"fastapi", "yaml"})


def test_every_provider_of_the_container_resolves() -> None:
    """Each `late` target exists; the two that take arguments are resolved by their names."""
    import importlib

    from dependency_injector import providers

    from entrypoints.container import Container

    targets = [
        provider.cls.__name__ if hasattr(provider.cls, "__name__") else ""
        for provider in Container.providers.values()
        if isinstance(provider, (providers.Factory, providers.ThreadSafeSingleton))
    ]
    assert len(targets) > 20
    for target in targets:
        module, _, name = target.partition(":")
        assert hasattr(importlib.import_module(module), name), target


VIOLATIONS = {
    "domain imports a port": ("domain/conversation.py", "import ports.catalog\n"),
    "domain imports a library": ("domain/conversation.py", "import yaml\n"),
    "a service imports an adapter": (
        "entrypoints/services/find_run.py",
        "import adapters.catalog\n",
    ),
    "a door imports an adapter": ("entrypoints/worker.py", "import adapters.catalog\n"),
    "a door imports another door": ("entrypoints/worker.py", "import entrypoints.http_api.app\n"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_forbidden_import_is_caught(name: str, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    for part in ("domain", "ports", "adapters", "entrypoints", "hextune"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    path, line = VIOLATIONS[name]
    (copy / path).write_text(line + (copy / path).read_text(encoding="utf-8"), encoding="utf-8")
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    found = subprocess.run(
        [*lint, "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    assert "BROKEN" in found.stdout
