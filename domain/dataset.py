"""Where rows come from, and what they are once aligned.

Structures follow Table 3 of the LLaMA-Factory paper. A `DataSource` describes a file or hub
dataset; alignment turns its rows into `StandardRow`s: a prompt, one or several responses, tools
and media, whatever the source looked like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from domain.conversation import Conversation, Message, Role
from domain.fingerprint import Json
from domain.media import MediaFile, MediaKind
from domain.section import built, limited, section


class DatasetKind(StrEnum):
    """What one row of an aligned dataset is."""

    TEXT = "text"
    """Plain text to continue."""
    CONVERSATION = "conversation"
    """A conversation that ends with an answer."""
    PREFERENCE = "preference"
    """A prompt with a chosen and a rejected answer."""
    FEEDBACK = "feedback"
    """A conversation whose answer was liked or not."""
    PROMPT = "prompt"
    """A conversation that ends with the person's turn; the model answers it while it learns."""


@section
class Columns:
    """Which column of the source holds what."""

    text: str = "text"
    """Text: the document."""
    prompt: str = "instruction"
    """Alpaca: the instruction."""
    query: str = "input"
    """Alpaca: the optional input, appended to the instruction after a newline."""
    response: str = "output"
    """Alpaca: the answer; a list of answers, best first, in a ranking."""
    history: str = "history"
    """Alpaca: earlier turns as a list of [question, answer] pairs."""
    system: str = "system"
    """The system prompt, in every format."""
    messages: str | None = None
    """The list of turns: conversations in ShareGPT, messages in OpenAI, where not set."""
    tools: str = "tools"
    """Tool definitions: a list, or a list written as JSON text."""
    segments: str = "segments"
    """Segments: a list of pieces of text, each with a label that says whether it is trained."""
    chosen: str = "chosen"
    """The better answer of a ranking."""
    rejected: str = "rejected"
    """The worse answer of a ranking."""
    kto_tag: str | None = None
    """Whether the answer was liked, for feedback rows."""
    answer: str = "answer"
    """Prompts: the reference that rewards compare with; the row's own answer where it is missing,
    the chosen one in a ranking."""
    images: str = "images"
    """Paths of images, one for each <image> in the text."""
    videos: str = "videos"
    """Paths of videos, one for each <video> in the text."""
    audios: str = "audios"
    """Paths of audio files, one for each <audio> in the text."""


@section
class Tags:
    """ShareGPT: how a turn names its role and content."""

    role: str = "from"
    """Key of the role inside a turn."""
    content: str = "value"
    """Key of the text inside a turn."""
    user: str = "human"
    """Role value of the person."""
    assistant: str = "gpt"
    """Role value of the model."""
    observation: str = "observation"
    """Role value of a tool's result."""
    function: str = "function_call"
    """Role value of a tool call."""
    system: str = "system"
    """Role value of a system turn."""


Format = Literal[
    "auto",
    "text",
    "alpaca",
    "sharegpt",
    "openai",
    "openai_preference",
    "standard",
    "trl",
    "segments",
]


@section
class DataSource:
    """Rows of one origin: either path or hub names it."""

    path: str | None = None
    """A .json, .jsonl, .csv, .parquet, .arrow or .txt file, a folder or pattern of such files,
    an s3:// or gs:// address of one, builtin:NAME, or a .py loading script of `datasets`."""
    trust_script: bool = False
    """Run the loading script that path names, with all rights you have. Read it first."""
    hub: str | None = None
    """A dataset of the hub, such as org/name."""
    subset: str | None = None
    """Hub and script: the configuration of the dataset."""
    split: str = "train"
    """Hub and script: which part."""
    folder: str | None = None
    """Hub: a folder inside the repository."""
    revision: str | None = None
    """Hub: branch, tag or commit."""
    format: Format = "auto"
    """How rows are laid out; auto decides by the columns of the first row and says so. trl is a
    prompt with a completion or with chosen and rejected; segments are text of which parts train."""
    ranking: bool | None = None
    """Rows hold a chosen and a rejected answer; decided by those columns where not set."""
    prompts: bool | None = None
    """Rows are prompts: the model writes the answers, and theirs are references for rewards. Set
    by stages that learn from rewards."""
    columns: Columns = built(Columns)
    """Column names, where the source's differ from the format's usual ones."""
    tags: Tags = built(Tags)
    """Names inside a ShareGPT turn, where they differ from the usual ones."""
    num_samples: int | None = limited(None, ge=1)
    """Use so many rows of this source; all where not set."""
    sample: Literal["random", "first"] = "random"
    """Which rows num_samples takes: drawn by the seed (again where there are too few), or the
    first ones."""
    weight: float = limited(1.0, gt=0)
    """How often this source is drawn when sources are interleaved, relative to the others."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.path or self.hub or "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedRow:
    """A row as read, and where it stands."""

    values: Mapping[str, object]
    """Column name to value."""
    file: str
    """The file as the spec names it."""
    line: int
    """First line of the row in a text file, from 1; the row's number in any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Why a row cannot be used."""

    field: str
    """The column at fault."""
    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Paths of what a row shows or plays."""

    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()
    files: tuple[MediaFile, ...] = ()
    """What the files' headers say, in this order; empty until they are looked at."""

    def __len__(self) -> int:
        return len(self.images) + len(self.videos) + len(self.audios)

    @property
    def paths(self) -> Mapping[MediaKind, tuple[str, ...]]:
        """Kind of file to the paths of that kind."""
        return {
            MediaKind.IMAGE: self.images,
            MediaKind.VIDEO: self.videos,
            MediaKind.AUDIO: self.audios,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardRow:
    """A row of any source in the standard structure."""

    kind: DatasetKind
    """What the row is."""
    prompt: tuple[Message, ...] = ()
    """Turns before the answer, a system turn first where there is one."""
    responses: tuple[Message, ...] = ()
    """The answer; in a preference the chosen one, then the rejected one."""
    tools: tuple[Mapping[str, Json], ...] = ()
    """Tool definitions, as OpenAI's API writes them."""
    text: str = ""
    """The document of a text row."""
    liked: bool | None = None
    """Feedback rows: whether the answer was liked."""
    answer: str = ""
    """Prompts: the reference that rewards compare with; empty for none."""
    media: Media = Media()
    """What the row shows or plays."""
    verbatim: bool = False
    """The turns are pieces of one text that no template is applied to."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """All turns: the prompt's, then every response."""
        return (*self.prompt, *self.responses)

    def conversation(self, response: int = 0) -> Conversation:
        """The turns with one of the responses; a prompt has none."""
        turns = (*self.prompt, *self.responses[response : response + 1])
        return Conversation(turns, self.tools, self.verbatim)

    def as_json(self) -> dict[str, object]:
        """The row in the paper's standardized structure (Table 3)."""
        if self.kind is DatasetKind.TEXT:
            return {"text": self.text}
        if self.verbatim:
            pieces = [(m.content, m.role is Role.ASSISTANT) for m in self.messages]
            return {"segments": [{"text": text, "label": label} for text, label in pieces]}
        row: dict[str, object] = {
            "prompt": [message.as_row_json() for message in self.prompt],
            "response": [message.as_row_json() for message in self.responses],
        }
        if self.tools:
            row["tools"] = [dict(tool) for tool in self.tools]
        if self.liked is not None:
            row["liked"] = self.liked
        if self.kind is DatasetKind.PROMPT:
            row["answer"] = self.answer
        for name, paths in (
            ("images", self.media.images),
            ("videos", self.media.videos),
            ("audios", self.media.audios),
        ):
            if paths:
                row[name] = list(paths)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedRow:
    """A standard row and where it came from."""

    row: StandardRow
    """The row in the standard structure."""
    file: str
    """The file as the spec names it."""
    line: int
    """The row's place in that file."""
    source: str = ""
    """Name of the data source that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedDataset:
    """Rows in the standard structure, with what became of every row read."""

    kind: DatasetKind
    """What one row is."""
    rows: Sequence[AlignedRow]
    """The usable rows, in file order."""
    fingerprint: str
    """SHA-256 over the rows: equal data, equal fingerprint."""
    formats: Mapping[str, str]
    """Name of each source to the format it was read as."""
    rows_read: int
    """Rows in all sources, before any was left out, drawn or repeated."""
    dropped: Sequence[str] = ()
    """One line for each row left out: file:line column and reason."""
