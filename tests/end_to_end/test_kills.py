"""A few kills for every change; `python -m tests.kill_runs --kills 20` is the whole proof."""

from pathlib import Path

from tests.kill_runs import one_stage


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    assert one_stage("sft", 3, 1, tmp_path).count == 3
