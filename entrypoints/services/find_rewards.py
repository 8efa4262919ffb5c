"""What a person means by a reward model: a finished run of stage reward, or a folder."""

import json
from dataclasses import replace
from typing import Any

from domain.errors import HextuneError, Place, fail
from domain.job import JobStatus
from domain.run_spec import Choice, ModelSection
from entrypoints.services.find_adapters import FindAdapters
from ports.spec_reader import SpecText

NAME = "model"


def with_reward_folders(adapters: FindAdapters, stage: Choice, model: ModelSection) -> Choice:
    """The stage with folders for runs; `model` is the policy's, its adapters as folders.

    Raises HextuneError for a run that is no reward model, or one over another base.
    """
    rewards: Any = stage.options.get("rewards")
    if not rewards:
        return stage
    found = [
        {**each, "model": _folder(adapters, each["model"], model, f"stage.rewards.{number}.model")}
        if each["name"] == NAME
        else each
        for number, each in enumerate(rewards)
    ]
    return replace(stage, options={**stage.options, "rewards": tuple(found)})


def _folder(adapters: FindAdapters, name: str, policy: ModelSection, field: str) -> str:
    place = Place(field=field)
    if name == "last":
        raise fail("adapter-last", place)
    try:
        job = adapters.find(name)
    except HextuneError as error:
        if error.problems[0].code != "run-missing":
            raise
        return name
    text = adapters.jobs.read_text(job, "spec.json") or ""
    spec = adapters.reader.read(SpecText(text=text, format="json", source="spec.json")).spec
    results = json.loads(adapters.jobs.read_text(job, "results.json") or "{}")
    if job.status is not JobStatus.SUCCEEDED or results.get("yields") != "reward_model":
        raise fail("reward-model-missing", place, name=name)
    if results["adapter"]:
        theirs = (spec.model.name, *adapters.in_section(spec.model).adapters)
        ours = (policy.name, *policy.adapters)
        if theirs != ours:
            facts = {"theirs": " + ".join(theirs), "ours": " + ".join(ours)}
            raise fail("reward-other-base", place, name=name, **facts)
    return f"{job.folder}/model"
