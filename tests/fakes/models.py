"""A model that exists only as a handle, whose tokenizer gives every character a token."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from domain.conversation import Conversation
from domain.dataset import DataSource, LocatedRow
from domain.errors import HextuneError, Place, fail
from domain.hardware import DeviceKind, Hardware
from domain.masking import (
    IGNORED,
    EncodedRow,
    TrainOn,
    label_everything,
    label_tokens,
    outside,
    trained_turns,
)
from domain.media import MediaFile, MediaKind
from domain.model_handle import LinearLayers, ModelHandle
from domain.precision import PrecisionPolicy
from domain.run_spec import ModelSection
from ports.encoder import ConversationEncoder
from ports.model import LoadedModel, MergeReport
from ports.packing import PackReport

HANDLE = ModelHandle(
    name="fake",
    path="/models/fake",
    revision=None,
    family="llama",
    architecture="LlamaForCausalLM",
    parameters=1_000_000,
    dtype="float32",
    context_tokens=2048,
    vocabulary=256,
    layers=2,
    hidden=64,
    heads=4,
    linear=(LinearLayers(name="q_proj", inputs=64, outputs=64, count=2),),
    has_chat_template=True,
)

CPU = Hardware(
    kind=DeviceKind.CPU,
    name="fake CPU",
    count=1,
    memory_bytes=8 * 1024**3,
    free_bytes=4 * 1024**3,
    cores=2,
)


@dataclass(frozen=True, slots=True)
class FakeLoaded:
    """Implements ports.model.LoadedModel."""

    handle: ModelHandle


class FakeEncoder:
    """Implements ports.model.ConversationEncoder: `role: text` and a newline for each turn."""

    template_fingerprint = "fake-template"
    tokenizer_fingerprint = "fake-tokenizer"

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> Sequence[EncodedRow | HextuneError]:
        return [self._encode(each, train_on) for each in conversations]

    def encode_prompts(
        self, conversations: Sequence[Conversation]
    ) -> Sequence[EncodedRow | HextuneError]:
        rows = [self._encode(each, TrainOn.EVERYTHING).input_ids for each in conversations]
        ask = tuple(map(ord, "assistant: "))
        return [EncodedRow(ids + ask, (IGNORED,) * len(ids + ask)) for ids in rows]

    def encode_texts(self, texts: Sequence[str]) -> Sequence[EncodedRow]:
        return [label_everything([ord(c) % 256 for c in text]) for text in texts]

    def agrees(self, conversation: Conversation) -> bool | None:
        return True

    def pieces(self, row: EncodedRow) -> Sequence[str]:
        return [chr(token) for token in row.input_ids]

    def _encode(self, conversation: Conversation, train_on: TrainOn) -> EncodedRow:
        text = ""
        spans, silent = [], []
        trained = trained_turns(conversation.messages, train_on)
        for number, message in enumerate(conversation.messages):
            text += f"{message.role.value}: "
            span = (len(text), len(text) + len(message.content) + 1)
            if number in trained:
                spans.append(span)
            elif message.trained is False:
                silent.append(span)
            text += message.content + "\n"
        offsets = [(number, number + 1) for number in range(len(text))]
        ids = [ord(character) % 256 for character in text]
        if train_on is TrainOn.EVERYTHING:
            return label_tokens(ids, offsets, outside(silent, len(text)))
        return label_tokens(ids, offsets, spans)


class FakeModelBackend:
    """Implements ports.model.ModelBackend; it knows one model, called fake."""

    def __init__(self, handle: ModelHandle = HANDLE) -> None:
        self.known = handle

    def inspect(self, model: ModelSection) -> ModelHandle:
        if model.name != self.known.name:
            raise fail("model-missing", Place(field="model.name"), name=model.name)
        return replace(self.known, revision=model.revision)

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        return FakeEncoder()

    def load(
        self, model: ModelSection, precision: PrecisionPolicy, quantization: object | None
    ) -> LoadedModel:
        return FakeLoaded(self.inspect(model))

    def merge(self, handle: ModelHandle, target: str, dtype: str) -> MergeReport:
        return MergeReport(max_difference=0.0, mean_kl=0.0, tokens=1, dtype=dtype, folder=target)

    def pack(self, handle: ModelHandle, target: str, settings: object) -> PackReport:
        return PackReport(
            mean_kl=0.01, agreement=1.0, tokens=1, size_bytes=1, plain_bytes=4, folder=target
        )


class FakeHardwareProbe:
    """Implements ports.hardware.HardwareProbe."""

    def __init__(self, hardware: Hardware = CPU) -> None:
        self.hardware = hardware

    def probe(self) -> Hardware:
        return self.hardware

    def versions(self) -> Mapping[str, str]:
        return {"python": "3.11.7", "torch": "2.13.0"}


class FakeEncodedCache:
    """Implements ports.encoded_cache.EncodedCache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Sequence[EncodedRow]] = {}

    def load(self, key: str) -> Sequence[EncodedRow] | None:
        return self.kept.get(key)

    def keep(self, key: str, rows: Sequence[EncodedRow]) -> None:
        self.kept[key] = rows


class FakeRowReader:
    """Implements ports.datasets.RowReader over rows given as values."""

    def __init__(self, files: Mapping[str, list[Mapping[str, object]]] | None = None) -> None:
        self.files = files or {
            "rows.jsonl": [
                {"instruction": f"Question {number}?", "output": f"Answer {number}."}
                for number in range(8)
            ]
        }

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        path = source.name
        if path not in self.files:
            raise fail("data-file-missing", path=path, folder="/work")
        for number, values in enumerate(self.files[path]):
            yield LocatedRow(values=values, file=path, line=number + 1)

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        return MediaFile(kind=kind, path=path, width=4, height=3, frames=2, seconds=1.0)
