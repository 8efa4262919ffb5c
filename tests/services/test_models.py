"""Resolving RUN|MODEL, merging within bounds, and diagnosing what is missing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.hardware import DeviceKind
from domain.model_handle import ModelHandle
from entrypoints.services.diagnose import NEEDS, Diagnose, Finding
from entrypoints.services.merge_model import BOUNDS
from ports.model import MergeReport
from tests.fakes.models import CPU, HANDLE, FakeHardwareProbe, FakeModelBackend
from tests.fakes.processes import FakeLauncher
from tests.services.world import World, codes, problems

# -- resolving ----------------------------------------------------------------------------------


def test_a_name_that_is_no_run_is_a_model() -> None:
    found = World().container.resolve_model()("fake")
    assert (found.label, found.created_at, found.handle) == ("fake", 0.0, HANDLE)


def test_what_is_neither_run_nor_model_is_told_as_a_model() -> None:
    assert codes(World().container.resolve_model(), "nowhere") == ["model-missing"]


@pytest.mark.parametrize("name", ["last", "2023", None])
def test_a_finished_run_is_its_base_with_its_adapter(name: str | None) -> None:
    world = World()
    job = world.start()
    found = world.container.resolve_model()(name or job.id)
    assert (found.label, found.created_at) == (job.id, job.created_at)
    assert found.handle == replace(HANDLE, adapters=(f"{job.folder}/model",))
    assert [model.name for model in found.served()] == [job.id, "fake"]


def test_a_run_that_trained_every_weight_is_a_model_of_its_own() -> None:
    class Own(FakeModelBackend):
        def inspect(self, model: Any) -> ModelHandle:
            return replace(HANDLE, name=model.name)

    world = World()
    job = world.start()
    world.jobs.write_text(job, "results.json", json.dumps({"adapter": False}))
    world.put(models=Own())
    found = world.container.resolve_model()(job.id)
    assert (found.handle.name, found.handle.adapters) == (f"{job.folder}/model", ())


def test_a_run_without_a_result_is_not_taken_for_a_model() -> None:
    world = World(working=False)
    job = world.running()
    found = problems(world.container.resolve_model(), job.id)
    assert [(item.code, item.facts["status"]) for item in found] == [("run-no-result", "running")]


# -- merging ------------------------------------------------------------------------------------


class Merging(FakeModelBackend):
    """A model backend whose merge differs as told."""

    def __init__(self, difference: float, kl: float) -> None:
        super().__init__()
        self.difference, self.kl = difference, kl
        self.merged: list[tuple[str, str]] = []

    def merge(self, handle: ModelHandle, target: str, dtype: str) -> MergeReport:
        assert handle.adapters
        self.merged.append((target, dtype))
        return MergeReport(
            max_difference=self.difference, mean_kl=self.kl, tokens=9, dtype=dtype, folder=target
        )


def merging(difference: float = 0.0, kl: float = 0.0) -> tuple[World, Merging]:
    """(a world with one finished run, the backend that merges it)."""
    world, models = World(), Merging(difference, kl)
    world.start()
    world.put(models=models)
    return world, models


@pytest.mark.parametrize(("dtype", "stored"), [(None, HANDLE.dtype), ("bfloat16", "bfloat16")])
def test_a_merge_keeps_the_models_dtype_unless_told(dtype: str | None, stored: str) -> None:
    world, models = merging()
    report = world.container.merge_model()("last", "/out", dtype, None)
    assert models.merged == [("/out", stored)]
    assert (report.folder, report.dtype) == ("/out", stored)


@pytest.mark.parametrize("dtype", BOUNDS)
def test_a_merge_up_to_the_bound_of_its_dtype_passes_and_beyond_fails(dtype: str) -> None:
    bound, kl = BOUNDS[dtype]
    for difference, mean, passes in (
        (bound, kl, True),
        (bound * 1.01, 0.0, False),
        (0.0, kl * 1.01, False),
        (float("nan"), 0.0, False),
        (0.0, float("nan"), False),
    ):
        world, _ = merging(difference, mean)
        merge = world.container.merge_model()
        if passes:
            assert merge("last", "/out", dtype, None).max_difference == difference
        else:
            found = problems(merge, "last", "/out", dtype, None)
            assert [(item.code, item.exit_code) for item in found] == [("merge-differs", 1)]
            assert found[0].facts["bound"] == f"{bound:g}"


def test_a_bound_that_was_asked_for_replaces_both() -> None:
    world, _ = merging(0.5, 3.0)
    merge = world.container.merge_model()
    assert merge("last", "/out", "float32", 0.5).max_difference == 0.5
    assert codes(merge, "last", "/out", "float32", 0.4) == ["merge-differs"]


def test_a_model_without_an_adapter_has_nothing_to_merge() -> None:
    world, models = merging()
    assert codes(world.container.merge_model(), "fake", "/out", None, None) == ["merge-no-adapter"]
    assert models.merged == []


def test_a_run_that_is_still_training_cannot_be_merged() -> None:
    world = World(working=False)
    world.put(launcher=FakeLauncher())
    job = world.running()
    merge = world.container.merge_model()
    assert codes(merge, job.id, "/out", None, None) == ["run-no-result"]


# -- diagnosing ---------------------------------------------------------------------------------


class Installed(FakeHardwareProbe):
    """A machine with some packages."""

    def __init__(self, kind: DeviceKind, **versions: str) -> None:
        super().__init__(replace(CPU, kind=kind))
        self.packages = versions

    def versions(self) -> dict[str, str]:
        return self.packages


def finding(package: str, kind: DeviceKind, **versions: str) -> Finding:
    _, _, found = Diagnose(Installed(kind, **versions))()
    return next(item for item in found if item.name == package)


@pytest.mark.parametrize(
    ("package", "kind", "versions", "status"),
    [
        ("bitsandbytes", DeviceKind.CPU, {}, "missing"),
        ("bitsandbytes", DeviceKind.CPU, {"bitsandbytes": "0.50.2"}, "ok"),
        ("vllm", DeviceKind.CPU, {}, "unfit"),
        ("vllm", DeviceKind.CPU, {"vllm": "0.32"}, "unfit"),
        ("vllm", DeviceKind.CUDA, {}, "missing"),
        ("vllm", DeviceKind.CUDA, {"vllm": "0.32"}, "ok"),
    ],
)
def test_a_package_is_ok_missing_or_unfit(
    package: str, kind: DeviceKind, versions: dict[str, str], status: str
) -> None:
    assert finding(package, kind, **versions).status == status


def test_what_is_missing_comes_with_the_command_that_installs_it() -> None:
    missing = finding("bitsandbytes", DeviceKind.CPU)
    assert missing.detail.endswith("; not installed")
    assert "pip install 'hextune[bitsandbytes]'" in missing.hint
    there = finding("bitsandbytes", DeviceKind.CPU, bitsandbytes="0.50.2")
    assert there.detail.endswith("; version 0.50.2")
    assert "pip install" not in there.hint


def test_a_diagnosis_looks_at_every_optional_package_and_the_machine() -> None:
    world = World()
    device, versions, found = world.container.diagnose()()
    assert device == CPU
    assert versions == {"python": "3.11.7", "torch": "2.13.0"}
    assert [item.name for item in found] == [need.package for need in NEEDS]
