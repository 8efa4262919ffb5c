"""Measure perplexity: rows are read and encoded, and the likelihood of their tokens is measured.

Rows longer than a window are read in overlapping windows, each token scored once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.dataset import AlignedRow
from domain.errors import HextuneError, Place, fail
from domain.eval_results import Measured
from domain.eval_spec import PerplexitySection
from domain.fingerprint import fingerprint
from domain.masking import IGNORED, EncodedRow
from domain.measurement import Measurement, Metric
from domain.run_spec import DataSection
from domain.scoring import ScoredTokens, windows
from entrypoints.services.align_data import AlignData
from entrypoints.services.encode_rows import encode_rows
from entrypoints.services.evaluation import Excluded, Instruments, Task, told_apart
from ports.datasets import RowReader
from ports.encoder import ConversationEncoder

LONGEST_WINDOW = 2048
"""Tokens of a window where none is set and the context is longer."""
SHOWN_CHARACTERS = 200
"""Characters of a row that its record keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRow:
    """A row ready to be scored."""

    origin: AlignedRow
    """The row as it was read."""
    windows: tuple[ScoredTokens, ...]
    """Its windows."""
    tokens: int
    """Its length."""

    @property
    def place(self) -> str:
        """file:line it stands at."""
        return f"{self.origin.file}:{self.origin.line}"

    @property
    def scored(self) -> int:
        """Tokens that count."""
        return sum(sum(window.counted) for window in self.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Implements Evaluation: rows whose tokens are scored."""

    about: Measured
    """Title, metric and excluded rows."""
    rows: Sequence[TextRow]
    """The rows, in order."""

    @property
    def tasks(self) -> Sequence[Task]:
        """A task for each file."""
        hashes = told_apart([fingerprint(row.origin.row.as_json()) for row in self.rows])
        files: dict[str, list[str]] = {}
        for row, item in zip(self.rows, hashes, strict=True):
            files.setdefault(row.origin.file, []).append(item)
        return [Task(subject=file, items=tuple(items)) for file, items in files.items()]

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """Nats per token of each row."""
        of_file = [row for row in self.rows if row.origin.file == task.subject]
        rows = [of_file[number] for number in wanted]
        pieces = [(n, window) for n, row in enumerate(rows) for window in row.windows]
        nats = [0.0] * len(rows)
        left = [len(row.windows) for row in rows]
        scored = instruments.scorer().score_tokens([window for _, window in pieces], model)
        for piece, logp in scored:
            number = pieces[piece][0]
            nats[number] -= logp
            left[number] -= 1
            if not left[number]:
                item = task.items[wanted[number]]
                yield self._measurement(rows[number], item, model, nats[number])

    def _measurement(self, row: TextRow, item: str, model: str, nats: float) -> Measurement:
        text = " ".join(message.content for message in row.origin.row.messages)
        shown = (row.origin.row.text or text)[:SHOWN_CHARACTERS]
        return Measurement(
            evaluation=self.about.title,
            item=item,
            model=model,
            subject=row.origin.file,
            category=row.origin.row.kind.value,
            value=nats / row.scored,
            weight=float(row.scored),
            length=row.tokens,
            detail={"place": row.place, "text": shown, "nats": nats, "tokens": row.scored},
        )


@dataclass(frozen=True, slots=True)
class MeasurePerplexity:
    """Reads and encodes rows."""

    reader: RowReader

    def __call__(
        self, asked: PerplexitySection, key: str, encoder: ConversationEncoder, context_tokens: int
    ) -> Perplexity:
        """The rows, in windows. Raises HextuneError where the sources or the windows are amiss."""
        window = asked.window or min(context_tokens, LONGEST_WINDOW)
        stride = asked.stride or max(1, window // 2)
        if window > context_tokens or stride >= window:
            raise fail(
                "eval-bad-window",
                Place(field=key),
                window=window,
                stride=stride,
                context=context_tokens,
            )
        data = DataSection(train=asked.data, on_bad_row="drop")
        aligned, _ = AlignData(self.reader)(data, 0)
        origins = list(aligned.rows)[: asked.limit]
        excluded = list(aligned.dropped)
        rows: list[TextRow] = []
        encoded = encode_rows([each.row for each in origins], encoder, data)
        for origin, found in zip(origins, encoded, strict=True):
            place = f"{origin.file}:{origin.line}"
            if isinstance(found, HextuneError):
                excluded.append(f"{place} {found}")
                continue
            row = _text_row(origin, found, asked, window, stride)
            if row.windows:
                rows.append(row)
            else:
                excluded.append(f"{place} no token of it counts")
        about = Measured(
            title=asked.shown,
            metric=Metric.PERPLEXITY,
            length_unit="tokens",
            excluded=tuple(excluded),
        )
        return Perplexity(about=about, rows=rows)


def _text_row(
    origin: AlignedRow, found: EncodedRow, asked: PerplexitySection, window: int, stride: int
) -> TextRow:
    counted = [asked.over == "all" or label != IGNORED for label in found.labels]
    cut = windows(found.input_ids, counted, window, stride)
    return TextRow(origin=origin, windows=tuple(cut), tokens=len(found.input_ids))
