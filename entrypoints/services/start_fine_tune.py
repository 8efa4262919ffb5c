"""Start a fine-tuning job: OpenAI's request becomes a run spec, and an ordinary run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from domain.errors import HextuneError, Place, fail
from domain.fine_tuning import (
    PATH,
    RECORD,
    Fields,
    FineTuneRequest,
    in_callers_words,
    parsed_name,
    scaled,
    spec_values,
)
from domain.fingerprint import Json
from domain.job import Job
from entrypoints.services.find_run import FindRun
from entrypoints.services.manage_files import TRAINED_ON, ManageFiles
from entrypoints.services.plan_run import Planned, PlanRun
from entrypoints.services.start_run import StartRun
from ports.files import FileStore
from ports.jobs import JobStore
from ports.spec_reader import SpecReader, SpecText

T = TypeVar("T")
SOURCE = "request"
Served = Mapping[str, str]
"""Names a server answers to, each with the base underneath."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request on its way to a run."""

    text: SpecText
    fields: Fields
    files: Mapping[str, tuple[str, str]]
    """Path to the field that names the file, and the file's name."""

    def attempt(self, work: Callable[[SpecText], T]) -> T:
        """`work` on the spec; its errors speak of the request."""
        try:
            return work(self.text)
        except HextuneError as error:
            raise in_callers_words(error, self.files, self.fields) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFineTune:
    """From a request to a run that a worker has taken."""

    files: ManageFiles
    store: FileStore
    reader: SpecReader
    plan: PlanRun
    start: StartRun
    find: FindRun
    jobs: JobStore

    def __call__(
        self, asked: FineTuneRequest, served: Served, request_id: str | None = None
    ) -> Job:
        """The new run, or the earlier one of the same request id.

        Raises HextuneError for every mistake, each with the field or the file's line.
        """
        record = {RECORD: json.dumps(asked.record(), ensure_ascii=False)}
        draft = self._draft(asked, served)
        return draft.attempt(lambda text: self.start(text, request_id, record))

    def planned(self, asked: FineTuneRequest, served: Served) -> Planned:
        """What the run would be."""
        return self._draft(asked, served).attempt(self.plan)

    def _draft(self, asked: FineTuneRequest, served: Served) -> Draft:
        paths = {}
        for field, id in (
            ("training_file", asked.training_file),
            ("validation_file", asked.validation_file),
        ):
            if id is not None:
                paths[self._path(id, field)] = (field, id)
        values, fields = spec_values(asked, self._model(asked.model, served), list(paths))
        draft = Draft(text=_text(values), fields=fields, files=paths)
        factor = asked.hyperparameters.learning_rate_multiplier
        if factor is None:
            return draft
        optimizer = draft.attempt(self.reader.read).spec.optimizer
        rate = optimizer.options.get("learning_rate")
        place = f"{asked.place}.learning_rate_multiplier"
        if not isinstance(rate, float):
            reason = f"the optimizer {optimizer.name} sets its own rate"
            raise fail("request-bad-field", Place(field=place), field=place, reason=reason)
        fields = {**fields, "optimizer.learning_rate": place}
        text = _text(scaled(values, optimizer.name, rate * factor))
        return Draft(text=text, fields=fields, files=paths)

    def _path(self, id: str, field: str) -> str:
        """Where a file for training lies. Raises HextuneError for any other file."""
        try:
            file = self.files.get(id)
        except HextuneError as error:
            raise _at(error, field) from None
        if file.purpose != TRAINED_ON:
            reason = f"its purpose is {file.purpose}, not {TRAINED_ON}"
            raise fail("request-bad-field", Place(field=field), field=field, reason=reason)
        return self.store.path(id)

    def _model(self, name: str, served: Served) -> Mapping[str, Json]:
        """The model section of a name: a base, or what a run made of one."""
        parsed = parsed_name(name)
        if parsed is not None and parsed.step is not None:
            reason = "training starts from finished models, not from checkpoints"
            raise fail("request-bad-field", Place(field="model"), field="model", reason=reason)
        if parsed is not None or served.get(name, name) != name:
            return self._of_run(name, parsed.run if parsed else name)
        if name not in served and (PATH.match(name) or name.startswith(".")):
            raise fail("job-model-path", Place(field="model"), name=name)
        return {"name": name}

    def _of_run(self, name: str, id: str) -> Mapping[str, Json]:
        place = Place(field="model")
        try:
            job = self.find.finished(id)
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise _at(error, "model") from None
            raise fail("model-not-served", place, name=name, names="GET /v1/models") from None
        results = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        if not results["adapter"]:
            return {"name": f"{job.folder}/model"}
        spec = json.loads(self.jobs.read_text(job, "spec.json") or "{}")
        return {"name": spec["model"]["name"], "adapters": [job.id]}


def _text(values: Mapping[str, Json]) -> SpecText:
    return SpecText(text=json.dumps(values), format="json", source=SOURCE)


def _at(error: HextuneError, field: str) -> HextuneError:
    """`error` at a field of the request."""
    found = error.problems[0]
    return fail(found.code, Place(field=field), **found.facts)
