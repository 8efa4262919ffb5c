"""OpenAI's fine-tuning requests as run specs, and runs in OpenAI's words."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.errors import HextuneError, Place, fail
from domain.events import EventKind, JobEvent
from domain.fine_tuning import (
    FineTuneRequest,
    FineTuneStatus,
    Hyperparameters,
    in_callers_words,
    metrics_csv,
    model_name,
    parsed_name,
    scaled,
    spec_values,
    status_of,
)
from domain.fingerprint import Json
from domain.job import Job, JobStatus


def asked(**fields: Any) -> FineTuneRequest:
    return FineTuneRequest(**{"model": "m", "training_file": "file-1", **fields})


def values_of(**fields: Any) -> Mapping[str, Any]:
    return spec_values(asked(**fields), {"name": "m"}, ["/rows"])[0]


def test_a_plain_request_sets_only_what_it_says() -> None:
    values, fields = spec_values(asked(), {"name": "m"}, ["/rows", "/held"])
    assert values == {
        "name": "fine-tune",
        "data": {"train": [{"path": "/rows"}], "eval": [{"path": "/held"}]},
        "model": {"name": "m"},
    }
    assert fields["data.eval"] == "validation_file"


@pytest.mark.parametrize(
    ("batch", "per_device", "accumulate"),
    [(1, 1, 1), (8, 8, 1), (12, 6, 2), (13, 1, 13), (32, 8, 4), (36, 6, 6)],
)
def test_a_batch_is_split_without_a_rest(batch: int, per_device: int, accumulate: int) -> None:
    found = values_of(hyperparameters=Hyperparameters(batch_size=batch))["batching"]
    assert found == {"per_device": per_device, "accumulate": accumulate}
    assert per_device * accumulate == batch


@pytest.mark.parametrize(
    ("method", "stage"), [("supervised", "sft"), ("dpo", "dpo"), ("reinforcement", "grpo")]
)
def test_methods_are_stages(method: Any, stage: str) -> None:
    numbers = Hyperparameters(n_epochs=2, beta=0.2 if method == "dpo" else None)
    values = values_of(method=method, hyperparameters=numbers, seed=3, suffix="cats")
    assert values["stage"]["name"] == stage
    assert (values["schedule"], values["seed"]) == ({"epochs": 2}, 3)
    assert values["name"] == "cats"
    assert values["stage"].get("beta") == numbers.beta


def test_sections_go_beside_and_are_left_as_they_were() -> None:
    sections = {"method": {"name": "lora", "rank": 4}, "stage": {"label_smoothing": 0.1}}
    values = values_of(method="dpo", sections=sections)
    assert values["method"] == sections["method"]
    assert values["stage"] == {"label_smoothing": 0.1, "name": "dpo"}
    assert sections["stage"] == {"label_smoothing": 0.1}


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"data": {"train": []}}, "hextune.data.train"),
        ({"stage": {"name": "kto"}}, "hextune.stage.name"),
        ({"stage": "kto"}, "hextune.stage.name"),
        ({"schedule": {"epochs": 3}}, "hextune.schedule.epochs"),
        ({"model": {"name": "other"}}, "hextune.model.name"),
        ({"model": {"trust_remote_code": False}}, "hextune.model.trust_remote_code"),
        ({"model": {"adapters": ["/a"]}}, "hextune.model.adapters.0"),
        ({"model": {"template": "../x.jinja"}}, "hextune.model.template"),
        ({"data": {"media_root": "x"}}, "hextune.data.media_root"),
        ({"stage": {"rewards": [{"name": "function", "path": "r.py"}]}},
         "hextune.stage.rewards.0.path"),
        ({"parallelism": {"config": "ds"}}, "hextune.parallelism.config"),
        ({"model": {"template": "x.jinja"}}, "hextune.model.template"),
        ({"x": {"y": [{"z": "s3://bucket/key"}]}}, "hextune.x.y.0.z"),
        ({"x": "a/../../b"}, "hextune.x"),
        ({"x": "~root"}, "hextune.x"),
    ],
)  # fmt: skip
def test_keys_a_request_may_not_set_are_refused_by_name(
    sections: dict[str, Any], field: str
) -> None:
    with pytest.raises(HextuneError) as caught:
        values_of(method="dpo", sections=sections, hyperparameters=Hyperparameters(n_epochs=1))
    assert field in [problem.place.field for problem in caught.value.problems]


def test_the_learning_rate_is_set_beside_what_is_there() -> None:
    values: dict[str, Json] = {"optimizer": {"weight_decay": 0.1}}
    assert scaled(values, "adamw", 1e-4)["optimizer"] == {
        "name": "adamw",
        "weight_decay": 0.1,
        "learning_rate": 1e-4,
    }


def test_errors_speak_of_the_request() -> None:
    files = {"/runs/.files/f/content.jsonl": ("training_file", "rows.jsonl")}
    row = Place(file="/runs/.files/f/content.jsonl", line=3, field="messages[0].role")
    error = HextuneError(
        [
            *fail("data-bad-row", row, reason="odd").problems,
            *fail("data-file-kind", path="/runs/.files/f/content.jsonl").problems,
            *fail("spec-missing-key", Place(field="method.rank"), key="method.rank",
                  meaning="").problems,
            *fail("spec-missing-key", Place(field="schedule.epochs"), key="schedule.epochs",
                  meaning="").problems,
        ]
    )  # fmt: skip
    found = in_callers_words(error, files, {"schedule": "hyperparameters"}).problems
    assert found[0].place == Place(file="rows.jsonl", line=3, field="training_file")
    assert found[0].facts["reason"] == "line 3, messages[0].role: odd"
    assert found[1].facts["path"] == "rows.jsonl"
    assert (found[2].place.field, found[2].facts["key"]) == ("hextune.method.rank",) * 2
    assert found[3].place.field == "hyperparameters"


JOB = Job(id="r", name="r", folder="", working_folder="", spec_hash="", created_at=0.0)


@pytest.mark.parametrize(
    ("status", "cancelled", "validating", "shown"),
    [
        ("queued", False, False, "queued"),
        ("queued", True, False, "cancelled"),
        ("running", False, True, "validating_files"),
        ("running", False, False, "running"),
        ("running", True, False, "cancelled"),
        ("stopped", False, False, "paused"),
        ("stopped", True, False, "cancelled"),
        ("succeeded", True, False, "succeeded"),
        ("failed", True, False, "cancelled"),
        ("failed", False, False, "failed"),
    ],
)
def test_states_in_openais_words(
    status: str, cancelled: bool, validating: bool, shown: str
) -> None:
    job = JOB.moved(JobStatus(status))
    found = status_of(job, cancelled=cancelled, validating=validating)
    assert found is FineTuneStatus(shown)


@pytest.mark.parametrize(
    ("base", "suffix", "step"),
    [
        ("builtin:smollm2", "cats", None),
        ("org/model", "", 20),
        ("m", "a.b c", 0),
        ("ft:odd:ckpt-step-2", "ckpt-step-1", 7),
    ],
)
def test_names_are_read_back(base: str, suffix: str, step: int | None) -> None:
    run = "20261124-061500-name-a1b2c3"
    found = parsed_name(model_name(base, suffix, run, step))
    assert found is not None
    assert (found.run, found.step) == (run, step)


def test_a_base_in_a_folder_is_called_by_the_folders_name() -> None:
    assert model_name("/models/tiny/", "s", "r") == "ft:tiny:hextune:s:r"


@pytest.mark.parametrize("name", ["run", "ft:", "ft:a", "ft:a:b/../c", "ft:a:", "last"])
def test_other_names_are_none(name: str) -> None:
    assert parsed_name(name) is None


def test_figures_of_a_step_share_a_line() -> None:
    events = [
        JobEvent(seq=n, at=0.0, kind=kind, data=data)
        for n, (kind, data) in enumerate(
            [
                (EventKind.CREATED, {}),
                (EventKind.STEP, {"step": 1, "loss": 2.0, "tokens": 5, "rewards/margin": 0.1}),
                (EventKind.EVALUATION, {"step": 2, "loss": 1.5, "rewards/margin": 0.2}),
                (EventKind.STEP, {"step": 2, "loss": 1.0, "tokens": 9}),
            ],
            1,
        )
    ]
    assert metrics_csv(events) == (
        "step,train_loss,valid_loss,rewards/margin,tokens,valid_rewards/margin\n"
        "1,2.0,,0.1,5,\n"
        "2,1.0,1.5,,9,0.2\n"
    )


def test_a_column_of_references_is_named_in_every_source() -> None:
    values, _ = spec_values(asked(answer_column="key"), {"name": "m"}, ["/rows", "/held"])
    columns = {"columns": {"answer": "key"}}
    assert values["data"] == {
        "train": [{"path": "/rows", **columns}],
        "eval": [{"path": "/held", **columns}],
    }
