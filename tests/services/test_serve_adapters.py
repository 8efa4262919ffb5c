"""Fine-tuned models loaded on first use: places, the least recently used, and those in use."""

import threading
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from domain.errors import HextuneError
from domain.fine_tuning import RECORD
from domain.job import Job
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, ServedModel, TextDelta
from entrypoints.services.serve_adapters import ServeAdapters, serve_adapters
from tests.doors.http_server import ScriptedEngine, echo_engine
from tests.services.world import World, spec_text


class HostingEngine(ScriptedEngine):
    """Implements AdapterHost: remembers what was loaded and unloaded."""

    def __init__(self, script: Sequence[str] = ("a",)) -> None:
        super().__init__(script)
        self.log: list[str] = []
        self.refuses = False

    def add_model(self, model: ResolvedModel) -> None:
        if self.refuses:
            raise ZeroDivisionError
        self.log.append(f"+{model.label}")

    def remove_model(self, name: str) -> None:
        self.log.append(f"-{name}")


class Serving:
    """A world with finished runs over the base an engine holds."""

    def __init__(self, places: int = 2, engine: Any = None) -> None:
        self.world = World()
        self.engine = engine or HostingEngine()
        tuned = self.world.container.fine_tuned_models()
        meter = self.world.container.meter()
        self.served: ServeAdapters = serve_adapters(self.engine, tuned, meter, places)

    def run(self, name: str = "run", **more: str) -> str:
        """The name of a finished run's model."""
        lines = "\n".join(f"{key}: {value}" for key, value in more.items())
        data = "data: {train: [{path: rows.jsonl}]}\nschedule: {max_steps: 1}"
        job: Job = self.world.start(f"model: {{name: fake}}\n{data}\nname: {name}\n{lines}\n")
        return f"ft:fake:hextune:{name}:{job.id}"

    def asking(self, name: str) -> Generator[TextDelta]:
        from domain.conversation import Conversation, Message, Role

        said = Conversation((Message(Role.USER, "one"),))
        return self.served.generate(GenerationRequest(model=name, conversation=said))

    def ask(self, name: str) -> str:
        return "".join(piece.text for piece in self.asking(name))


def code_of(caught: Any) -> str:
    error: HextuneError = caught.value
    return error.problems[0].code


def test_a_model_is_loaded_when_it_is_first_asked_and_once() -> None:
    serving = Serving()
    name = serving.run()
    assert name in [model.name for model in serving.served.models()]
    assert serving.engine.log == []
    assert serving.ask(name) == serving.ask(name) == "a"
    assert serving.engine.log == [f"+{name}"]


def test_the_least_recently_used_one_goes() -> None:
    serving = Serving(places=2)
    one, two, three = (serving.run(name) for name in ("one", "two", "three"))
    for name in (one, two, one, three):
        serving.ask(name)
    assert serving.engine.log == [f"+{one}", f"+{two}", f"-{two}", f"+{three}"]


def test_one_that_answers_is_never_unloaded() -> None:
    serving = Serving(places=1)
    one, two = serving.run("one"), serving.run("two")
    answer = serving.asking(one)
    next(answer)
    with pytest.raises(HextuneError) as caught:
        serving.ask(two)
    assert code_of(caught) == "model-places-taken"
    serving.served.forget(one)
    assert serving.engine.log == [f"+{one}"]
    answer.close()
    assert serving.ask(two) == "a"
    assert serving.engine.log == [f"+{one}", f"-{one}", f"+{two}"]


def test_many_at_once_load_it_once() -> None:
    serving = Serving()
    name = serving.run()
    asks = [threading.Thread(target=serving.ask, args=(name,)) for _ in range(8)]
    for ask in asks:
        ask.start()
    for ask in asks:
        ask.join()
    assert serving.engine.log == [f"+{name}"]


def test_a_model_that_cannot_be_loaded_takes_no_place() -> None:
    serving = Serving(places=1)
    one, two = serving.run("one"), serving.run("two")
    serving.engine.refuses = True
    with pytest.raises(ZeroDivisionError):
        serving.ask(one)
    serving.engine.refuses = False
    assert serving.ask(two) == "a"


def test_names_of_nothing_are_refused() -> None:
    serving = Serving()
    name = serving.run()
    run = name.rpartition(":")[2]
    for wrong in (
        f"ft:other:hextune:run:{run}",
        f"ft:fake:hextune:run:{run}x",
        f"ft:fake:hextune:run:{run[:-1]}",
        "ft:fake:hextune:run:last",
        f"{name}:ckpt-step-",
    ):
        with pytest.raises(HextuneError) as caught:
            serving.ask(wrong)
        assert code_of(caught) == "model-not-served", wrong
    with pytest.raises(HextuneError) as caught:
        serving.ask(f"{name}:ckpt-step-9")
    assert code_of(caught) == "model-checkpoint-unfit"


def test_a_run_over_another_base_says_which_is_loaded() -> None:
    serving = Serving()
    name = serving.run()
    jobs = serving.world.jobs
    job = jobs.get(name.rpartition(":")[2])
    text = jobs.read_text(job, "spec.json")
    jobs.write_text(job, "spec.json", text.replace('"fake"', '"other"'))
    with pytest.raises(HextuneError) as caught:
        serving.ask(name.replace("ft:fake", "ft:other"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["loaded"]) == ("model-other-base", "fake")
    assert name not in [model.name for model in serving.served.models()]


def test_a_whole_model_is_not_served_over_a_base() -> None:
    serving = Serving()
    name = serving.run()
    jobs = serving.world.jobs
    jobs.write_text(jobs.get(name.rpartition(":")[2]), "results.json", '{"adapter": false}')
    with pytest.raises(HextuneError) as caught:
        serving.ask(name)
    assert code_of(caught) == "model-whole"


def test_an_engine_that_takes_none_says_how_to_serve_it() -> None:
    serving = Serving(engine=ScriptedEngine(["a"]))
    with pytest.raises(HextuneError) as caught:
        serving.ask(serving.run())
    assert code_of(caught) == "model-fixed-engine"
    assert serving.ask("fake") == "a"


def test_what_an_engine_can_do_shows_through() -> None:
    from ports.tokens import Embedder, TextTokens

    class Texts(HostingEngine):
        def tokenize(self, model: str, prompt: str, special: bool) -> tuple[int, ...]:
            return (len(prompt),)

        def tokenize_conversation(self, request: GenerationRequest) -> tuple[int, ...]:
            return (1,)

        def detokenize(self, model: str, ids: Sequence[int]) -> str:
            return "text"

        def context_tokens(self, model: str) -> int:
            return 8

    class Vectors(Texts):
        def embed(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
            return (1.0,)

    plain, texts, vectors = (Serving(engine=made) for made in (HostingEngine(), Texts(), Vectors()))
    assert not isinstance(plain.served, TextTokens)
    assert isinstance(texts.served, TextTokens)
    assert not isinstance(texts.served, Embedder)
    assert isinstance(vectors.served, Embedder)
    name = vectors.run()
    assert vectors.served.embed(name, (1,)) == (1.0,)
    assert vectors.engine.log == [f"+{name}"]


def test_the_echo_engine_hosts_adapters() -> None:
    serving = Serving(engine=echo_engine())
    name = serving.run()
    assert serving.ask(name) == "one"
    names: list[ServedModel] = list(serving.engine.models())
    assert name in [model.name for model in names]


def test_a_record_names_the_model() -> None:
    world = World()
    record = '{"suffix": "cats", "model": "fake"}'
    start: Any = world.container.start_run()
    job = start(
        spec_text("model: {name: fake}\ndata: {train: [{path: rows.jsonl}]}\n"),
        None,
        {RECORD: record},
    )
    assert world.container.fine_tune_jobs().get(job.id).model_name() == (
        f"ft:fake:hextune:cats:{job.id}"
    )
