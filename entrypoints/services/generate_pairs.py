"""Generate pairs: a model answers prompts, and its answers become rows of preferences.

What was written to each prompt is a line of answers.jsonl as soon as it is there, and a worker that
takes the run up writes only what is not. Every answer has a seed of its own, so that the rows do
not depend on where a run was cut off.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.alignment import align
from domain.conversation import Conversation, Message, Role
from domain.dataset import AlignedRow, DatasetKind, DataSource, StandardRow
from domain.errors import HextuneError, Place, fail
from domain.events import EventKind
from domain.fingerprint import Json
from domain.job import Job, JobStatus
from domain.model_handle import ModelHandle, ResolvedModel
from domain.pairing import Written, mean_score, pairs_of, question_of, seed_of
from domain.pipeline import ROWS_FILE, GenerateSection
from domain.run_spec import RunSpec
from domain.sampling import GenerationRequest, Sampling
from entrypoints.services.align_data import AlignData
from entrypoints.services.execute_run import failure_data
from entrypoints.services.find_adapters import FindAdapters
from ports.datasets import RowReader
from ports.inference import InferenceBackend
from ports.jobs import JobStore
from ports.model import ModelBackend
from ports.shapes import ModelShapes
from ports.spec_reader import SpecReader, SpecText
from ports.surroundings import Surroundings

ANSWERS = "answers.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratePairs:
    """Writes the rows of one job."""

    reader: SpecReader
    rows: RowReader
    models: ModelBackend
    adapters: FindAdapters
    jobs: JobStore
    open_engine: Callable[[ResolvedModel], InferenceBackend]
    surroundings: Surroundings

    def __call__(self, name: str, *, resume: bool, stop_asked: Callable[[], bool]) -> Job:
        """The job at its end; failures are recorded in it, not raised."""
        job = self.jobs.get(name)
        started = job.started_at or self.surroundings.now()
        job = job.moved(JobStatus.RUNNING, started_at=started)
        self.jobs.save(job)
        try:
            return self._run(job, resume, stop_asked)
        except HextuneError as error:
            return self.jobs.end(job, EventKind.FAILED, failure_data(error))

    def _run(self, job: Job, resume: bool, stop_asked: Callable[[], bool]) -> Job:
        self.jobs.append(job, EventKind.PHASE, {"phase": "data"})
        recorded = json.loads(self.jobs.read_text(job, "spec.json") or "")
        text = SpecText(text=json.dumps(recorded["spec"]), format="json", source="spec.json")
        spec = self.reader.read(text).spec
        prompts = prompts_of(self.rows, spec)
        done = [Written(**json.loads(line)) for line in self.jobs.lines(job, ANSWERS)]
        if resume:
            self.jobs.append(job, EventKind.RESUMED, {"step": len(done)})
        self.jobs.append(job, EventKind.PHASE, {"phase": "loading"})
        handle = writing_model(self.models, self.adapters, spec)
        engine = self.open_engine(ResolvedModel(label=job.id, handle=handle, created_at=0.0))
        writer = _Writer(engine, job.id, GenerateSection(**recorded["generate"]), spec.seed)
        began, there = self.surroundings.now(), len(done)
        try:
            for number in range(there, len(prompts)):
                if stop_asked():
                    return self.jobs.end(job, EventKind.STOPPED, {"step": number})
                done.append(writer.written(prompts[number].row, number))
                line = json.dumps(done[-1].as_json(), ensure_ascii=False)
                self.jobs.append_line(job, ANSWERS, line)
                spent_s = max(self.surroundings.now() - began, 1e-9)
                self._tell(job, number + 1, len(prompts), (number + 1 - there) / spent_s)
        finally:
            engine.close()
        return self._finished(job, prompts, done)

    def _tell(self, job: Job, step: int, total: int, per_s: float) -> None:
        data: dict[str, Json] = {
            "step": step,
            "total_steps": total,
            "title": job.part_of.step if job.part_of else job.name,
            "per_s": per_s,
            "eta_s": (total - step) / max(per_s, 1e-9),
        }
        self.jobs.append(job, EventKind.PROGRESS, data)

    def _finished(self, job: Job, prompts: Sequence[AlignedRow], done: Sequence[Written]) -> Job:
        """Write the rows and the results. Raises HextuneError where there is no row."""
        pairs = [_usable(each.row, found) for each, found in zip(prompts, done, strict=True)]
        rows = [row for found in pairs for row in found]
        if not rows:
            raise fail("pipeline-no-pairs", count=len(prompts))
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        self.jobs.write_text(job, ROWS_FILE, "".join(lines))
        results: dict[str, Json] = {
            "prompts": len(prompts),
            "rows": len(rows),
            "without_a_pair": sum(not found for found in pairs),
        }
        self.jobs.write_text(job, "results.json", json.dumps(results, indent=2))
        return self.jobs.end(job, EventKind.SUCCEEDED, results)


def prompts_of(rows: RowReader, spec: RunSpec) -> Sequence[AlignedRow]:
    """The rows to whose prompts answers are written. Raises HextuneError for others."""
    training, _ = AlignData(rows)(spec.data, spec.seed)
    found = training.rows[: spec.data.max_samples]
    for each in found:
        place = Place(file=each.file, line=each.line)
        if len(each.row.media):
            raise fail("pipeline-media", place, row=place)
        if each.row.kind is not DatasetKind.CONVERSATION or each.row.verbatim:
            raise fail(
                "data-kind-unfit",
                place,
                stage="generate",
                eats=DatasetKind.CONVERSATION.value,
                path=each.file,
                kind="segments" if each.row.verbatim else each.row.kind.value,
            )
    return found


def writing_model(models: ModelShapes, adapters: FindAdapters, spec: RunSpec) -> ModelHandle:
    """The shape of the model that writes. Raises HextuneError for one that cannot chat."""
    handle = models.inspect(adapters.in_section(spec.model))
    if not handle.has_chat_template:
        raise fail("model-not-chat", name=handle.name)
    return handle.stretched(spec.model.rope, spec.data.max_tokens)


def _usable(row: StandardRow, written: Written) -> list[dict[str, object]]:
    """The rows of preferences that can be read back; a model may write what no row can hold."""
    rows = [pair.as_json() for pair in pairs_of(row, written)]
    source = DataSource(path=ROWS_FILE)
    return [each for each in rows if isinstance(align(each, source, "standard"), StandardRow)]


@dataclass(frozen=True, slots=True)
class _Writer:
    """A model that answers, and judges its answers where that is asked for."""

    engine: InferenceBackend
    model: str
    asked: GenerateSection
    seed: int

    def written(self, row: StandardRow, number: int) -> Written:
        """Everything written to one prompt; nothing where it leaves no room."""
        try:
            answers = [
                self._said(Conversation(row.prompt, row.tools), number, each)
                for each in range(self.asked.answers)
            ]
            if self.asked.chosen == "own":
                return Written(row=number, answers=answers)
            judgements = [self._judged(row, text, number, n) for n, text in enumerate(answers)]
        except HextuneError as error:
            if error.problems[0].code != "request-too-long":
                raise
            return Written(row=number)
        scores = [mean_score(each) for each in judgements]
        return Written(row=number, answers=answers, scores=scores, judgements=judgements)

    def _judged(self, row: StandardRow, answer: str, number: int, n: int) -> list[str]:
        text = self.asked.judge.replace("{question}", question_of(row)).replace("{answer}", answer)
        asking = Conversation((Message(Role.USER, text),))
        return [self._said(asking, number, n, turn) for turn in range(self.asked.judgements)]

    def _said(self, conversation: Conversation, *numbers: int) -> str:
        sampling = Sampling(
            temperature=self.asked.temperature,
            top_p=self.asked.top_p,
            max_tokens=self.asked.max_tokens,
            seed=seed_of(self.seed, *numbers),
        )
        request = GenerationRequest(model=self.model, conversation=conversation, sampling=sampling)
        return "".join(delta.text for delta in self.engine.generate(request))
