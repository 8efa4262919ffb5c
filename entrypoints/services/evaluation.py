"""What every kind of evaluation gives: tasks of items, and a measurement of each item."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.eval_results import Measured
from domain.fingerprint import Json
from domain.measurement import Measurement
from ports.inference import InferenceBackend
from ports.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Items of one subject, which are measured together."""

    subject: str
    """The subject, or the file."""
    items: tuple[str, ...]
    """Content hash of each item; no two are equal."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """An item that could not be measured."""

    line: str
    """Where it stands and why."""
    item: str = ""
    """Its content hash, where measuring it again would cost: then it is on record for good."""
    detail: Mapping[str, Json] = field(default_factory=dict)
    """What the record keeps beside it."""


class Instruments:
    """What measures one model; one of them is in memory at a time, opened when first used."""

    def __init__(
        self,
        open_scorer: Callable[[], Scorer],
        open_engine: Callable[[], InferenceBackend],
    ) -> None:
        self._open_scorer = open_scorer
        self._open_engine = open_engine
        self._scorer: Scorer | None = None
        self._engine: InferenceBackend | None = None

    def scorer(self) -> Scorer:
        """What says how likely a text is."""
        if self._scorer is None:
            self.close()
            self._scorer = self._open_scorer()
        return self._scorer

    def engine(self) -> InferenceBackend:
        """What answers a conversation."""
        if self._engine is None:
            self.close()
            self._engine = self._open_engine()
        return self._engine

    def close(self) -> None:
        """Let go of what is open."""
        if self._scorer is not None:
            self._scorer.close()
        if self._engine is not None:
            self._engine.close()
        self._scorer = self._engine = None


class Evaluation(Protocol):
    """One evaluation, with its items read."""

    @property
    def about(self) -> Measured:
        """Title, metric and excluded rows; no measurements yet."""

    @property
    def tasks(self) -> Sequence[Task]:
        """All items, by subject."""

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """A measurement of each item whose number is wanted, as they are ready."""


def told_apart(hashes: Sequence[str]) -> tuple[str, ...]:
    """The hashes, with a number behind those that have come before."""
    seen: dict[str, int] = {}
    found = []
    for each in hashes:
        seen[each] = seen.get(each, 0) + 1
        found.append(each if seen[each] == 1 else f"{each}-{seen[each]}")
    return tuple(found)
