"""Checkpoints on disk: sealed, judged, rotated, and removed so that no half counts as whole."""

from pathlib import Path

import pytest

from adapters.checkpointing import (
    COMPLETE,
    clear_after,
    defect,
    newest_usable,
    remove,
    rotate,
    seal,
)


def checkpoint(folder: Path, step: int, *, sealed: bool = True) -> Path:
    made = folder / f"checkpoint-{step}"
    (made / "global_step").mkdir(parents=True)
    (made / "weights.safetensors").write_bytes(bytes(range(200)))
    (made / "global_step" / "rank0.pt").write_bytes(b"state")
    if sealed:
        seal(made)
    return made


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.iterdir())


def test_what_was_sealed_is_whole(tmp_path: Path) -> None:
    assert defect(checkpoint(tmp_path, 2)) is None


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda f: (f / COMPLETE).unlink(), "it was not written to its end"),
        (lambda f: (f / "global_step" / "rank0.pt").unlink(), "rank0.pt is missing"),
        (lambda f: (f / "global_step" / "rank0.pt").write_bytes(b"sta"), "rank0.pt has 3 of 5"),
        (lambda f: (f / "global_step" / "rank0.pt").write_bytes(b"stAte"), "holds other bytes"),
    ],
)
def test_harm_is_noticed(tmp_path: Path, harm: object, reason: str) -> None:
    made = checkpoint(tmp_path, 2)
    harm(made)  # type: ignore[operator]
    assert reason in (defect(made) or "")


def test_an_empty_marker_of_an_earlier_version_still_counts(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 2, sealed=False)
    (made / COMPLETE).touch()
    assert defect(made) is None


def test_the_newest_whole_one_is_found_and_each_that_is_passed_over_is_told(
    tmp_path: Path,
) -> None:
    for step in (9, 10, 100):
        checkpoint(tmp_path, step, sealed=step != 100)
    (tmp_path / "checkpoint-10" / "weights.safetensors").write_bytes(b"")
    found, passed = newest_usable(tmp_path)
    assert found == tmp_path / "checkpoint-9"
    assert [each.facts["step"] for each in passed] == ["100", "10"]
    clear_after(tmp_path, 9)
    assert steps(tmp_path) == [9]


def test_without_any_whole_one_there_is_none(tmp_path: Path) -> None:
    checkpoint(tmp_path, 2, sealed=False)
    found, passed = newest_usable(tmp_path)
    assert (found, len(passed)) == (None, 1)


def test_rotation_counts_whole_ones_only(tmp_path: Path) -> None:
    for step in (8, 9, 10, 11):
        checkpoint(tmp_path, step, sealed=step != 9)
    rotate(tmp_path, keep=2)
    assert steps(tmp_path) == [9, 10, 11]


def test_the_marker_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkpoint(tmp_path, 2)

    def power_cut(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("adapters.checkpointing.shutil.rmtree", power_cut)
    with pytest.raises(KeyboardInterrupt):
        remove(made)
    assert newest_usable(tmp_path)[0] is None
