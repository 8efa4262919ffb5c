"""Rate answers: two models answer the same prompts, and a person says which answer is better."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from domain.dataset import DataSource
from domain.errors import fail
from domain.fingerprint import fingerprint
from domain.human_ratings import Choice, Pair, WinRates, win_rates
from domain.model_handle import ResolvedModel
from domain.sampling import Sampling
from entrypoints.services.evaluation import told_apart
from entrypoints.services.free_answers import AskedRow, answered, asked_rows
from entrypoints.services.resolve_model import ResolveModel
from ports.datasets import RowReader
from ports.inference import InferenceBackend
from ports.ratings import RatingStore

Progress = Callable[[str, int, int], None]
"""Is told (model, prompts it has answered, prompts it answers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingRequest:
    """What is to be rated."""

    models: tuple[str, str]
    """Two runs or models."""
    prompts: str
    """File of rows; what they answer themselves is not looked at."""
    output: str
    """File the preference rows go to."""
    seed: int
    """Decides whose answer is shown first."""
    limit: int | None
    """Only the first prompts."""
    max_tokens: int
    """Longest answer."""


@dataclass(frozen=True, slots=True)
class RateAnswers:
    """Puts answers side by side; everything is on record, so that it can be left and taken up."""

    resolve: ResolveModel
    open_engine: Callable[[ResolvedModel], InferenceBackend]
    rows: RowReader
    ratings: RatingStore

    def __call__(
        self,
        asked: RatingRequest,
        ask: Callable[[Pair, int, int], Choice | None],
        progress: Progress,
    ) -> WinRates:
        """Ask a person about each pair until all are rated, or `ask` answers None.

        `ask` is given a pair, its number from 1, and how many there are. Raises HextuneError.
        """
        pairs = self._answered(asked, progress)
        names = tuple(pairs[0].answers)
        for number, pair in enumerate(pairs):
            if pair.winner is not None:
                continue
            choice = ask(pair, number + 1, len(pairs))
            if choice is None:
                break
            pairs[number] = replace(pair, winner=pair.chosen(choice, asked.seed))
            self.ratings.keep(asked.output, pairs)
        return win_rates(pairs, names, asked.seed)

    def _answered(self, asked: RatingRequest, progress: Progress) -> list[Pair]:
        """A pair for each prompt that both can answer; answers on record are not asked again."""
        first, second = (self.resolve(name) for name in asked.models)
        if first.label == second.label:
            raise fail("human-same-model", name=first.label)
        for model in (first, second):
            if not model.handle.has_chat_template:
                raise fail("model-not-chat", name=model.label)
        labels = (first.label, second.label)
        source = DataSource(path=asked.prompts, prompts=True)
        rows, _ = asked_rows(self.rows, (source,), asked.limit, compared=False)
        kept = {pair.item: pair for pair in self.ratings.pairs(asked.output)}
        others = {model for pair in kept.values() for model in pair.answers} - {*labels}
        if others:
            raise fail("human-other-models", path=asked.output, models=", ".join(sorted(others)))
        items = told_apart([fingerprint(row.conversation.as_json()) for row in rows])
        wanted = {item: row for item, row in zip(items, rows, strict=True) if item not in kept}
        made = self._made(wanted, (first, second), asked, progress)
        if made:
            kept |= {pair.item: pair for pair in made}
            self.ratings.keep(asked.output, list(kept.values()))
        found = [kept[item] for item in items if item in kept]
        if not found:
            raise fail("human-nothing-to-rate", path=asked.prompts)
        return found

    def _made(
        self,
        wanted: dict[str, AskedRow],
        models: tuple[ResolvedModel, ResolvedModel],
        asked: RatingRequest,
        progress: Progress,
    ) -> Sequence[Pair]:
        """A pair for each row; the models are in memory one after the other."""
        if not wanted:
            return []
        told = [
            list(self._answers(model, list(wanted.values()), asked, progress)) for model in models
        ]
        pairs = []
        for item, row, *texts in zip(wanted, wanted.values(), *told, strict=True):
            if None in texts:
                continue  # longer than a model's context
            answers = {model.label: str(text) for model, text in zip(models, texts, strict=True)}
            winner = Choice.TIE.value if texts[0] == texts[1] else None
            prompt = tuple(row.conversation.as_json())
            pairs.append(Pair(item=item, prompt=prompt, answers=answers, winner=winner))
        return pairs

    def _answers(
        self,
        model: ResolvedModel,
        rows: Sequence[AskedRow],
        asked: RatingRequest,
        progress: Progress,
    ) -> Iterator[str | None]:
        sampling = Sampling(temperature=0.0, max_tokens=asked.max_tokens)
        with closing(self.open_engine(model)) as engine:
            for number, row in enumerate(rows):
                yield answered(engine, model.label, row.conversation, sampling)
                progress(model.label, number + 1, len(rows))
