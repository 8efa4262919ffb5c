"""A model that exists only as a handle, whose tokenizer gives every character a token."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from domain.conversation import Conversation, Role
from domain.dataset import LocatedRow
from domain.errors import Place, fail
from domain.hardware import DeviceKind, Hardware
from domain.masking import EncodedRow, TrainOn, chosen_spans, label_tokens
from domain.model_handle import LinearLayers, ModelHandle
from domain.precision import PrecisionPolicy
from domain.run_spec import ModelSection
from ports.model import ConversationEncoder, LoadedModel, MergeReport

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

    def encode(self, conversation: Conversation, train_on: TrainOn) -> EncodedRow:
        text = ""
        spans = []
        for message in conversation.messages:
            text += f"{message.role.value}: "
            if message.role is Role.ASSISTANT:
                spans.append((len(text), len(text) + len(message.content) + 1))
            text += message.content + "\n"
        offsets = [(number, number + 1) for number in range(len(text))]
        ids = [ord(character) % 256 for character in text]
        return label_tokens(ids, offsets, chosen_spans(spans, len(text), train_on))


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


class FakeHardwareProbe:
    """Implements ports.hardware.HardwareProbe."""

    def __init__(self, hardware: Hardware = CPU) -> None:
        self.hardware = hardware

    def probe(self) -> Hardware:
        return self.hardware

    def versions(self) -> Mapping[str, str]:
        return {"python": "3.11.7", "torch": "2.13.0"}


class FakeRowReader:
    """Implements ports.datasets.RowReader over rows given as values."""

    def __init__(self, files: Mapping[str, list[Mapping[str, object]]] | None = None) -> None:
        self.files = files or {
            "rows.jsonl": [
                {"instruction": f"Question {number}?", "output": f"Answer {number}."}
                for number in range(8)
            ]
        }

    def read(self, path: str) -> Iterator[LocatedRow]:
        if path not in self.files:
            raise fail("data-file-missing", path=path, folder="/work")
        for number, values in enumerate(self.files[path]):
            yield LocatedRow(values=values, file=path, line=number + 1)
