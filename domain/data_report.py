"""What is in the rows: counts, lengths, trained share, duplicates, and the template's verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from domain.media import MediaAccount

PERCENTILES = (50, 90, 95, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """The account of a data section before training."""

    rows_read: int
    """Rows in all sources."""
    kinds: Mapping[str, int]
    """Kind of row to how many there are."""
    formats: Mapping[str, str]
    """Name of each source to the format it was read as."""
    dropped: Sequence[str]
    """One line for each unusable row: file:line column and reason."""
    too_long: Sequence[str]
    """One line for each row longer than the limit: file:line, tokens, what becomes of it."""
    refused: Sequence[str]
    """One line for each row the chat template refuses: file:line and reason."""
    duplicates: Sequence[str]
    """One line for each row that stands earlier too: file:line and where."""
    untrained: Sequence[str]
    """file:line of each row in which no token carries a loss."""
    limit: int
    """Longest row allowed, in tokens."""
    lengths: Sequence[int]
    """Tokens of every row the template renders, before any cut; of a preference, of each answer."""
    trained: Sequence[int]
    """Of them, tokens that carry a loss."""
    compared: int
    """Rows whose ids were compared with the tokenizer's own rendering."""
    equal: int
    """Of them, rows with the same ids."""
    media: Mapping[str, MediaAccount] = field(default_factory=dict)
    """Kind of media file to the account of all such files."""

    @property
    def percentiles(self) -> Mapping[str, int]:
        """Length in tokens that so many percent of the rows do not exceed."""
        return {f"p{p}": percentile(self.lengths, p) for p in PERCENTILES}

    @property
    def trained_share(self) -> float:
        """Share of all tokens that carry a loss."""
        return sum(self.trained) / sum(self.lengths) if sum(self.lengths) else 0.0

    @property
    def clean(self) -> bool:
        """Whether every row can be trained on as it is."""
        return not (self.dropped or self.too_long or self.refused or self.untrained)

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            **asdict(self),
            "percentiles": dict(self.percentiles),
            "trained_share": self.trained_share,
            "clean": self.clean,
        }


def percentile(values: Sequence[int], percent: float) -> int:
    """The smallest value that `percent` of the values do not exceed; 0 for no values."""
    if not values:
        return 0
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank) - 1, 0)]


def histogram(values: Sequence[int], bins: int) -> list[tuple[int, int, int]]:
    """(from, to, count) of `bins` equal ranges of whole numbers; every value is in one of them."""
    if not values:
        return []
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // bins))
    counts = [0] * (-(-(high - low + 1) // width))
    for value in values:
        counts[(value - low) // width] += 1
    return [(low + n * width, low + (n + 1) * width - 1, count) for n, count in enumerate(counts)]
