"""Rows with images, videos and audio to token ids, by the model's own processor.

The chat template renders messages of content parts, one placeholder a file; the processor reads
the files and puts as many tokens in each placeholder's stead as the network will make of it.
An answer's place among those tokens is found without reading files again: the text is tokenized
as rendered, and what follows a point is the same in both. Where a file follows an answer, the
processor expands the text up to that point instead.
"""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from itertools import takewhile
from typing import Any

from adapters.models.escaping import special_tokens
from adapters.models.media_inputs import Loaded, check_lengths, load_files, model_inputs
from adapters.models.processors import media_tokens, takes_videos
from adapters.models.rendering import HfEncoder, check_tools
from domain.conversation import Conversation
from domain.errors import HextuneError, fail
from domain.masking import (
    IGNORED,
    EncodedRow,
    TrainOn,
    answers,
    label_runs,
    outside,
    trained_turns,
)
from domain.media import MediaConversation, MediaFile, MediaKind, MediaLoading, ShownMedia

PLACEHOLDER = re.compile("|".join(f"({kind.placeholder})" for kind in MediaKind))
TEXTS_AS_PARTS = (
    "{%- set shown = namespace(turns=[]) -%}{%- for turn in messages -%}"
    "{%- if turn['content'] is string -%}{%- set turn = dict(turn, content=[{'type': 'text',"
    " 'text': turn['content']}]) -%}{%- endif -%}{%- set shown.turns = shown.turns + [turn] -%}"
    "{%- endfor -%}{%- set messages = shown.turns -%}"
)
"""Put before a template: many templates of multimodal models leave out a content that is text."""
MERGED = 4
"""Tokens that may change where a text is cut: a merge reaches no further back."""


def chat_tokenizer(processor: Any) -> Any:
    """The processor's tokenizer, whose template takes contents that are text."""
    tokenizer = copy.copy(processor.tokenizer)
    template = processor.chat_template or tokenizer.chat_template
    tokenizer.chat_template = template and TEXTS_AS_PARTS + template
    return tokenizer


class MultimodalEncoder(HfEncoder):
    """Implements ports.encoder.MediaEncoder; rows without media go the text models' way."""

    def __init__(self, processor: Any, kinds: Sequence[MediaKind], own_template: bool) -> None:
        super().__init__(chat_tokenizer(processor), own_template)
        self._processor = processor
        self._kinds = kinds
        self._commands = special_tokens(processor.tokenizer)

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of the tokenizer's and the processor's definitions."""
        settings = self._processor.to_json_string()
        return sha256(f"{super().tokenizer_fingerprint}{settings}".encode()).hexdigest()

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> list[EncodedRow | HextuneError]:
        """Conversations without media, begun by the token that the processor puts first."""
        return [
            row if isinstance(row, HextuneError) or talk.verbatim else self._begun(row)
            for talk, row in zip(
                conversations, super().encode_all(conversations, train_on), strict=True
            )
        ]

    def encode_prompts(
        self, conversations: Sequence[Conversation]
    ) -> list[EncodedRow | HextuneError]:
        """Prompts without media, begun by the token that the processor puts first."""
        return [
            row if isinstance(row, HextuneError) else self._begun(row)
            for row in super().encode_prompts(conversations)
        ]

    def agrees(self, conversation: Conversation) -> bool | None:
        """Whether ours are the processor's own ids for it; None where it has no template."""
        if not self._own_template or conversation.verbatim:
            return None
        theirs = self._processor.apply_chat_template(
            self._parts(MediaConversation(conversation=conversation, files=()), MediaLoading())[0],
            tools=conversation.tools_as_json(),
            tokenize=True,
            return_dict=True,
        )["input_ids"]
        return list(self.encode(conversation, TrainOn.EVERYTHING).input_ids) == list(theirs[0])

    def _begun(self, row: EncodedRow) -> EncodedRow:
        own = self._processor.tokenizer
        first = (own.bos_token_id,)
        if tuple(own("")["input_ids"][:1]) != first or row.input_ids[:1] == first:
            return row
        return EncodedRow(first + row.input_ids, (IGNORED, *row.labels))

    def encode_media(
        self, rows: Sequence[MediaConversation], train_on: TrainOn, loading: MediaLoading
    ) -> list[EncodedRow | HextuneError]:
        """Each row encoded, or the error that says why it cannot be."""
        found: list[EncodedRow | HextuneError] = []
        for row in rows:
            try:
                found.append(self._encode_row(row, train_on, loading))
            except HextuneError as error:
                found.append(error)
        return found

    def _encode_row(
        self, row: MediaConversation, train_on: TrainOn, loading: MediaLoading
    ) -> EncodedRow:
        if row.conversation.verbatim:
            raise fail("data-media-refused", reason="no template is applied to its pieces")
        self._check_kinds(row.files, loading)
        turns, files = self._parts(row, loading)
        shown = _Row(self._processor, replace(row, files=files), loading, turns)
        check_tools(row.conversation, shown.text)
        learned = trained_turns(row.conversation.messages, train_on)
        if train_on is TrainOn.EVERYTHING:
            silent = [n for n in answers(row.conversation.messages) if n not in learned]
            runs = outside([shown.run(n) for n in silent], len(shown.ids))
        else:
            runs = [shown.run(n) for n in learned]
        labelled = label_runs(shown.ids, runs)
        labels = tuple(
            IGNORED if kind else label
            for label, kind in zip(labelled.labels, shown.kinds, strict=True)
        )
        media = ShownMedia(
            text=shown.text, files=files, loading=loading, tokens=shown.tokens_of_files()
        )
        return EncodedRow(labelled.input_ids, labels, media=media)

    def _check_kinds(self, files: Sequence[MediaFile], loading: MediaLoading) -> None:
        """Raises HextuneError for files the model does not take, or not here."""
        for kind in {file.kind for file in files}:
            as_images = kind is MediaKind.VIDEO and loading.video_as == "images"
            needed = MediaKind.IMAGE if as_images else kind
            if needed not in self._kinds:
                takes = ", ".join(self._kinds)
                raise fail("data-media-kind", kind=kind.value, takes=takes)
            if needed is MediaKind.VIDEO and not takes_videos(self._processor):
                raise fail("data-video-processor")

    def _parts(
        self, row: MediaConversation, loading: MediaLoading
    ) -> tuple[list[dict[str, Any]], tuple[MediaFile, ...]]:
        """(the turns with their contents as parts, the files in the order of the parts)."""
        turns = row.conversation.as_json()
        beside = [{key: turn[key] for key in turn if key != "content"} for turn in turns]
        self._check_text(json.dumps([beside, row.conversation.tools_as_json()], ensure_ascii=False))
        ordered: list[MediaFile] = []
        left = {kind: [f for f in row.files if f.kind is kind] for kind in MediaKind}
        for turn in turns:
            parts: list[dict[str, Any]] = []
            for piece in filter(None, PLACEHOLDER.split(turn["content"])):
                if not PLACEHOLDER.fullmatch(piece):
                    self._check_text(piece)
                    parts.append({"type": "text", "text": piece})
                    continue
                kind = MediaKind(piece.strip("<>"))
                if not left[kind]:
                    raise _count_error(row, kind)
                ordered.append(left[kind].pop(0))
                parts += _part(ordered[-1], loading)
            turn["content"] = parts
        for kind, files in left.items():
            if files:
                raise _count_error(row, kind)
        return turns, tuple(ordered)

    def _check_text(self, text: str) -> None:
        """The processor would take special tokens in the text for commands."""
        for token in sorted(self._commands.inside(text)):
            raise fail("data-special-token", token=token)


def _part(file: MediaFile, loading: MediaLoading) -> list[dict[str, Any]]:
    """A file as content parts: one, or one for each frame that is shown as an image."""
    if file.kind is MediaKind.VIDEO and loading.video_as == "images":
        return [{"type": "image"}] * min(file.frames, loading.video_frames)
    return [{"type": file.kind.value}]


def _count_error(row: MediaConversation, kind: MediaKind) -> HextuneError:
    text = "".join(message.content for message in row.conversation.messages)
    return fail(
        "data-media-count",
        placeholder=kind.placeholder,
        found=text.count(kind.placeholder),
        files=sum(file.kind is kind for file in row.files),
    )


class _Row:
    """A row's rendering, its ids, and where its answers stand among them."""

    def __init__(
        self,
        processor: Any,
        row: MediaConversation,
        loading: MediaLoading,
        turns: list[dict[str, Any]],
    ) -> None:
        self.processor, self.row, self.loading, self.turns = processor, row, loading, turns
        self.text = self._render(self.turns)
        self._check_rendered()
        self._loaded = load_files(self.processor, self.row.files, self.loading)
        self.ids = self._expanded(self.text, self._loaded)
        self._plain = self._tokens(self.text)
        kinds = media_tokens(self.processor)
        self.kinds = [kinds.get(token) for token in self.ids]

    def tokens_of_files(self) -> Mapping[str, int]:
        """Kind of file to the tokens of all files of that kind."""
        found = {kind.value: self.kinds.count(kind) for kind in MediaKind}
        parts = [_part(file, self.loading) for file in self.row.files]
        as_images = [
            len(part)
            for file, part in zip(self.row.files, parts, strict=True)
            if file.kind is MediaKind.VIDEO and part[0]["type"] == "image"
        ]
        if as_images:
            images = sum(file.kind is MediaKind.IMAGE for file in self.row.files)
            of_one = found["image"] / (images + sum(as_images))
            found |= {"image": round(of_one * images), "video": round(of_one * sum(as_images))}
        return {kind: count for kind, count in found.items() if count}

    def run(self, number: int) -> tuple[int, int]:
        """Tokens of answer `number` (first, one past the last), its terminator included."""
        before = self._render(self.turns[:number], ask=True)
        after = self._render(self.turns[: number + 1])
        if not (self.text.startswith(after) and after.startswith(before)):
            raise fail("data-template-unstable")
        return self._token_at(before, number), self._token_at(after.rstrip(), number + 1)

    def _token_at(self, beginning: str, turns: int) -> int:
        """How many of the ids `beginning` makes; its turns are the first `turns` ones."""
        plain = self._tokens(beginning)
        same = _shared(plain, self._plain)
        rest = self._plain[same:]
        place = len(self.ids) - len(rest)
        if len(plain) - same <= MERGED and self.ids[place:] == rest:
            return place
        ids = self._expanded(beginning, self._loaded.first(self.turns[:turns]))
        same = _shared(ids, self.ids)
        if len(ids) - same > MERGED:
            raise fail("data-template-unstable")
        return same

    def _render(self, turns: list[dict[str, Any]], *, ask: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            rendered: str = self.processor.apply_chat_template(
                turns,
                tools=self.row.conversation.tools_as_json(),
                tokenize=False,
                add_generation_prompt=ask,
            )
        except (TemplateError, TypeError, ValueError, KeyError, IndexError) as error:
            raise fail("data-template-refused", reason=str(error) or repr(error)) from None
        return rendered

    def _check_rendered(self) -> None:
        """Some templates leave out parts they do not expect where they stand."""
        for turn in self.turns:
            for part in turn["content"]:
                said = part.get("text", "").strip()
                if said not in self.text:
                    reason = f"it leaves out what the {turn['role']} says: {said[:40]}"
                    raise fail("data-template-refused", reason=reason)

    def _expanded(self, text: str, loaded: Loaded) -> list[int]:
        inputs = model_inputs(self.processor, [text], [loaded])
        check_lengths(self.processor, self.row.files, inputs)
        return [int(token) for token in inputs["input_ids"][0]]

    def _tokens(self, text: str) -> list[int]:
        """The text tokenized as rendered, a placeholder one token."""
        own = self.processor.tokenizer
        special = own.bos_token is None or not self.text.startswith(own.bos_token)
        return list(own(text, add_special_tokens=special)["input_ids"])


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two sequences begin with together."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
