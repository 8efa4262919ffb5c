"""Responses as OpenAI's API describes them: whole, and as the typed events that lead to one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from domain.sampling import FinishReason, TextDelta
from domain.tool_use import CallPiece
from entrypoints.http_api.schema.replies import Reply, Usage
from entrypoints.http_api.schema.responses import Item, ResponseBody


@dataclass(slots=True)
class OpenItem:
    """An output item in the making."""

    item: dict[str, Any]
    index: int
    part: dict[str, Any] | None
    """Its one part of text; None for a call."""

    @property
    def place(self) -> dict[str, object]:
        """Where its events belong."""
        return {"item_id": self.item["id"], "output_index": self.index}


@dataclass(slots=True, kw_only=True)
class ResponseEvents:
    """Turns pieces of one answer into the events of one response.

    Implements entrypoints.http_api.sse.NumberedChunking.
    """

    body: ResponseBody
    created: int
    id: str = field(default_factory=lambda: f"resp_{uuid.uuid4().hex}")
    output: list[Item] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: FinishReason | None = None
    broken: Literal["failed", "cancelled"] | None = None
    """How it ended where it has no end."""
    error: Reply | None = None
    _open: OpenItem | None = None
    _call: int = -1
    _number: int = -1

    def next_number(self) -> int:
        """The number of the event that comes next."""
        self._number += 1
        return self._number

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The events of one piece."""
        if self._number < 0:
            yield self._event("response.created", response=self.response())
            yield self._event("response.in_progress", response=self.response())
        self.usage.add(delta)
        if delta.reasoning:
            yield from self._write("reasoning", "reasoning_text", delta.reasoning)
        if delta.text:
            yield from self._write("message", "output_text", delta.text)
        for piece in delta.tool_calls:
            yield from self._call_piece(piece)
        if delta.finish_reason:
            if not self.output:
                yield from self._write("message", "output_text", "")
            self.finish = delta.finish_reason
            yield from self._close()

    def last(self) -> Iterator[Reply]:
        """The event that ends the response."""
        yield self._event(f"response.{self.status}", response=self.response())

    def break_off(self, status: Literal["failed", "cancelled"], error: Reply | None = None) -> None:
        """It ends here, with what it has."""
        self.broken, self.error = status, error
        for _ in self._close():
            pass

    @property
    def status(self) -> str:
        """How far it is."""
        if self.broken is not None:
            return self.broken
        if self.finish is None:
            waits = self.body.background and self._number < 0
            return "queued" if waits else "in_progress"
        return "incomplete" if self.finish == "length" else "completed"

    def response(self) -> Reply:
        """The response as far as it is."""
        asked = self.body.model_dump(by_alias=True, exclude_none=True)
        cut = {"reason": "max_output_tokens"} if self.status == "incomplete" else None
        text = {"format": {"type": "text"}} | asked.get("text", {})
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": self.status,
            "background": self.body.background is True,
            "error": self.error,
            "incomplete_details": cut,
            "instructions": self.body.instructions,
            "max_output_tokens": self.body.max_output_tokens,
            "model": self.body.model,
            "output": [dict(item) for item in self.output],
            "parallel_tool_calls": self.body.parallel_tool_calls is not False,
            "previous_response_id": self.body.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "store": self.body.store is not False,
            "temperature": asked.get("temperature", 1.0),
            "text": text,
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": [tool_reply(tool.model_dump()) for tool in self.body.tools or ()],
            "top_p": asked.get("top_p", 1.0),
            "truncation": "disabled",
            "metadata": asked.get("metadata", {}),
            **({} if self.finish is None else {"usage": usage_reply(self.usage)}),
        }

    def _event(self, kind: str, /, **values: object) -> Reply:
        return {"type": kind, "sequence_number": self.next_number(), **values}

    def _write(self, kind: str, part: str, text: str) -> Iterator[Reply]:
        """The events of a text that is added to the open item of its kind, or to a new one."""
        if self._open is None or self._open.item["type"] != kind:
            yield from self._begin(new_item(kind), {"type": part, "text": ""})
        assert self._open is not None
        assert self._open.part is not None
        self._open.part["text"] += text
        if text:
            told: Reply = {"logprobs": []} if kind == "message" else {}
            name, place = f"response.{part}.delta", self._open.place
            yield self._event(name, **place, content_index=0, delta=text, **told)

    def _call_piece(self, piece: CallPiece) -> Iterator[Reply]:
        if self._open is None or piece.index != self._call:
            self._call = piece.index
            call_id = f"call_{uuid.uuid4().hex[:24]}"
            item = new_item("function_call") | {"call_id": call_id, "name": piece.name}
            yield from self._begin(item | {"arguments": ""}, None)
        assert self._open is not None
        self._open.item["arguments"] += piece.arguments
        if piece.arguments:
            name = "response.function_call_arguments.delta"
            yield self._event(name, **self._open.place, delta=piece.arguments)

    def _begin(self, item: Item, part: dict[str, Any] | None) -> Iterator[Reply]:
        yield from self._close()
        if item["type"] == "message":
            item["role"] = "assistant"
        if item["type"] == "reasoning":
            item["summary"] = []
        self._open = OpenItem(item, len(self.output), part)
        self.output.append(item)
        added = item if part is None else item | {"content": []}
        name = "response.output_item.added"
        yield self._event(name, output_index=self._open.index, item=dict(added))
        if part is None:
            return
        if part["type"] == "output_text":
            part |= {"annotations": [], "logprobs": []}
        item["content"] = [part]
        place = self._open.place
        yield self._event("response.content_part.added", **place, content_index=0, part=dict(part))

    def _close(self) -> Iterator[Reply]:
        if self._open is None:
            return
        ended, self._open = self._open, None
        cut = self.broken is not None or self.finish == "length"
        ended.item["status"] = "incomplete" if cut else "completed"
        if ended.part is None:
            arguments, name = ended.item["arguments"], ended.item["name"]
            yield self._event(
                "response.function_call_arguments.done",
                **ended.place,
                name=name,
                arguments=arguments,
            )
        else:
            part, told = ended.part, {"content_index": 0, "text": ended.part["text"]}
            logprobs: Reply = {"logprobs": []} if part["type"] == "output_text" else {}
            yield self._event(f"response.{part['type']}.done", **ended.place, **told, **logprobs)
            yield self._event(
                "response.content_part.done", **ended.place, content_index=0, part=dict(part)
            )
        yield self._event(
            "response.output_item.done", output_index=ended.index, item=dict(ended.item)
        )


PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


def new_item(kind: str) -> Item:
    """An output item that has begun."""
    return {"id": f"{PREFIXES[kind]}_{uuid.uuid4().hex}", "type": kind, "status": "in_progress"}


def tool_reply(tool: dict[str, Any]) -> Reply:
    """A tool as it was asked for; strict where nothing was said."""
    return tool | {"strict": True if tool["strict"] is None else tool["strict"]}


def usage_reply(usage: Usage) -> Reply:
    """The tokens used; those of thoughts are among the output and not counted apart."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
