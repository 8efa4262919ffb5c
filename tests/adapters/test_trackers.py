"""Trackers: what each writes is read back; a resumed run adds to it, and no secret gets in."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.trackers import check_trackers, open_tracker
from domain.errors import HextuneError
from ports.tracker import TrackedRun

CATALOG = FolderCatalog()
FIGURES = {n: {"train/loss": 2.0 / n, "train/learning_rate": 1e-3 * n} for n in (1, 2, 3, 4)}
"""Steps and their figures, exact in float32 to five digits."""


def run_in(folder: Path, *, resumed: bool = False) -> TrackedRun:
    return TrackedRun(
        id="20261124-120000-run-a1b2c3",
        name="run",
        folder=str(folder),
        spec={"seed": 42, "model": {"name": "tiny"}},
        resumed=resumed,
    )


def track(part: Mapping[str, Any], folder: Path) -> None:
    """Two steps, the worker dies, and a second worker goes on."""
    folder.mkdir()
    first = open_tracker(CATALOG, part, run_in(folder))
    for step in (1, 2):
        first.record(step, FIGURES[step])
    second = open_tracker(CATALOG, part, run_in(folder, resumed=True))
    for step in (3, 4):
        second.record(step, FIGURES[step])
    second.close(succeeded=True)


def test_jsonl_goes_on_after_half_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    first = open_tracker(CATALOG, {"name": "jsonl", "file": "metrics.jsonl"}, run_in(folder))
    first.record(1, FIGURES[1])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "train/lo')
    second = open_tracker(CATALOG, {"name": "jsonl", "file": "metrics.jsonl"}, run_in(folder))
    second.record(2, FIGURES[2])
    second.close(succeeded=True)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, **FIGURES[1]},
        {"step": 2, **FIGURES[2]},
    ]


def test_tensorboard_reads_back_what_was_tracked(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]

    track({"name": "tensorboard", "folder": "tensorboard"}, tmp_path / "run")
    accumulator = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    accumulator.Reload()
    found = accumulator.Scalars("train/loss")
    assert [point.step for point in found] == [1, 2, 3, 4]
    assert [point.value for point in found] == pytest.approx([2.0, 1.0, 2 / 3, 0.5])
    texts = [event.tensor_proto for event in accumulator.Tensors("spec/text_summary")]
    assert len(texts) == 1


def test_mlflow_finds_its_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    track({"name": "mlflow", "uri": uri, "experiment": "ours"}, tmp_path / "run")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("ours")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert {point.step: point.value for point in history} == {
        step: figures["train/loss"] for step, figures in FIGURES.items()
    }


def log_records(content: bytes) -> Iterator[bytes]:
    """Records of a LevelDB log after W&B's header of 7 bytes: blocks of 32 KiB, in which each piece
    has a checksum (4 bytes), a length (2) and whether it is whole, first, middle or last (1)."""
    at, gathered = 7, b""
    while at + 7 <= len(content):
        if (at + 7) // 32768 > at // 32768 and (at + 7) % 32768:
            at = -(-at // 32768) * 32768
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        gathered += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield gathered
            gathered = b""


def test_wandb_keeps_a_run_to_sync_later(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    part = {"name": "wandb", "project": "ours", "mode": "offline", "entity": None, "tags": ["a"]}
    (tmp_path / "run").mkdir()
    tracker = open_tracker(CATALOG, part, run_in(tmp_path / "run"))
    for step, figures in FIGURES.items():
        tracker.record(step, figures)
    tracker.close(succeeded=True)
    wandb.teardown()  # ends wandb's own process, which holds a block of records back until then
    (path,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    found: dict[int, float] = {}
    for data in log_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
        }
        if "train/loss" in items:
            found[items["_step"]] = items["train/loss"]
    assert found == {step: figures["train/loss"] for step, figures in FIGURES.items()}


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("adapters.packages.version", missing)
    for name in ("tensorboard", "wandb", "mlflow"):
        with pytest.raises(HextuneError) as caught:
            check_trackers(CATALOG, ({"name": "jsonl"}, {"name": name}))
        found = caught.value.problems[0]
        assert (found.code, found.place.field) == ("package-missing", "tracking.trackers.1.name")
        assert f"hextune[{name}]" in found.hint


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    part = {"name": "mlflow", "uri": "https://me:hush@example.org", "experiment": "x"}
    with pytest.raises(HextuneError) as caught:
        check_trackers(CATALOG, (part,))
    found = caught.value.problems[0]
    assert (found.code, found.place.field) == ("tracker-secret", "tracking.trackers.0.uri")
    assert "hush" not in json.dumps(found.as_json())
