"""The wheel: one top-level name that works beside others' `adapters` and `entrypoints`."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the sdist, as `python -m build` does."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def other_distribution(folder: Path, name: str) -> Path:
    """A wheel of somebody else's top-level package `name`."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    files = {
        f"{name}/__init__.py": "OWNER = 'somebody else'\n",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    files[f"{name}-1.0.dist-info/RECORD"] = "".join(f"{each},,\n" for each in files)
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in files.items():
            archive.writestr(each, text)
    return path


def test_the_wheel_installs_one_top_level_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hextune"}
    for needed in (
        "hextune/_layers/adapters/data/locales/zh.json",
        "hextune/_layers/adapters/data/datasets/house-style.jsonl",
        "hextune/_layers/adapters/data/report/report.html.jinja",
        "hextune/_layers/entrypoints/tui/app.tcss",
        "hextune/_layers/entrypoints/grpc_api/generated/hextune/v1/jobs_pb2.py",
    ):
        assert needed in names


@pytest.mark.parametrize("ours_first", [True, False])
def test_it_works_beside_other_distributions_of_those_names(
    wheel: Path, tmp_path: Path, tiny_model: Path, rows_file: Path, ours_first: bool
) -> None:
    """A run is trained by a worker of the installed wheel, whatever was installed first."""
    environment = tmp_path / "venv"
    venv.create(environment)
    python = environment / "bin" / "python"
    others = [other_distribution(tmp_path, name) for name in ("adapters", "entrypoints")]
    for each in [wheel, *others] if ours_first else [*others, wheel]:
        install = ("install", "--quiet", "--no-deps", "--no-index", each)
        call(sys.executable, "-m", "pip", "--python", python, *install)
    # Our dependencies without our checkout: PYTHONPATH folders do not run .pth files.
    site_packages = next(path for path in sys.path if path.endswith("site-packages"))
    owner = "import adapters, entrypoints; print(adapters.OWNER, entrypoints.OWNER)"
    assert (
        call(python, "-c", owner, cwd=tmp_path, PYTHONPATH=site_packages).strip()
        == "somebody else somebody else"
    )
    tune = environment / "bin" / "tune"
    assert "adapters on all linear layers" in call(
        tune, "list", "recipes", cwd=tmp_path, PYTHONPATH=site_packages
    )
    spec = tmp_path / "run.yaml"
    call(tune, "new", spec, cwd=tmp_path, PYTHONPATH=site_packages)
    changes = (
        f"model.name={tiny_model}",
        f"data.train.0.path={rows_file}",
        "schedule={max_steps: 2}",
    )
    call(
        tune,
        "train",
        spec,
        *changes,
        "--runs",
        tmp_path / "runs",
        cwd=tmp_path,
        PYTHONPATH=site_packages,
    )
    (report,) = (tmp_path / "runs").glob("*/report.html")
    assert report.stat().st_size > 0
