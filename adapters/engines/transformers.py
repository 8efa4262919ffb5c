"""Answers through transformers' generate(), one request at a time, adapters switched per request.

Generations wait for each other on one lock, which also makes seeds exact: the global random state
is set and used by one generation only. The generating thread holds the lock, a reader never does.
"""

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from adapters.detokenizing import Detokenizer, StopTexts
from adapters.models.attaching import ADAPTER, attach_beside, attached, sibling_name
from adapters.models.hf import load_network, tokenizer_of
from adapters.models.rendering import HfEncoder
from domain.errors import fail
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ResolvedModel
from domain.precision import PrecisionSection, choose_precision
from domain.sampling import GenerationRequest, Sampling, ServedModel, TextDelta

DEVICES = {DeviceKind.ROCM: "cuda"}
"""PyTorch's names, where they differ from ours."""

END = object()


class Engine:
    """Implements ports.inference.InferenceBackend."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        handle = resolved.handle
        if not handle.has_chat_template:
            raise fail("model-not-chat", name=handle.name)
        dtype = choose_precision(PrecisionSection(), hardware).compute
        network = load_network(handle, dtype=dtype)
        if handle.adapters:
            network = attached(network, handle.adapters)
            attach_beside(network, resolved.siblings)
        self._device = DEVICES.get(hardware.kind, hardware.kind.value)
        self._network = network.to(self._device).eval()
        self._tokenizer = tokenizer_of(handle)
        self._encoder = HfEncoder(self._tokenizer)
        self._context_tokens = handle.context_tokens
        self._served = {model.name: model for model in resolved.served()}
        names = {each.label: sibling_name(n) for n, each in enumerate(resolved.siblings)}
        self._adapters = {resolved.label: ADAPTER, **names}
        self._lock = threading.Lock()

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, and its base where it has an adapter."""
        return list(self._served.values())

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer; unknown models and long prompts fail before the first piece."""
        if request.model not in self._served:
            names = ", ".join(self._served)
            raise fail("model-not-served", name=request.model, names=names)
        text = self._encoder.render(request.conversation.as_json(), ask=True)
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        limit = self._limit(len(ids), request.sampling.max_tokens)
        return self._pieces(request, ids, limit)

    def close(self) -> None:
        """Let the weights go."""
        self._network = None

    def _limit(self, prompt: int, asked: int | None) -> int:
        """Tokens the answer may have. Raises HextuneError where the context is too short."""
        left = self._context_tokens - prompt
        if left < 1 or (asked is not None and asked > left):
            raise fail(
                "request-too-long", prompt=prompt, asked=asked or 1, context=self._context_tokens
            )
        return left if asked is None else asked

    def _pieces(
        self, request: GenerationRequest, ids: list[int], limit: int
    ) -> Generator[TextDelta]:
        decoding, stops = Detokenizer(self._tokenizer), StopTexts(request.sampling.stop)
        ends = self._end_tokens()
        tokens, ended = 0, False
        generation = _Generation(self, request, ids, limit)
        try:
            for token in generation:
                tokens += 1
                ended = token in ends
                if ended:
                    break
                text = stops.feed(decoding.feed(token))
                if text:
                    yield TextDelta(text=text)
                if stops.found:
                    break
        finally:
            generation.cancel()
        rest = "" if stops.found else stops.feed(decoding.finish()) + stops.finish()
        yield TextDelta(
            text=rest,
            finish_reason="stop" if ended or stops.found else "length",
            prompt_tokens=len(ids),
            completion_tokens=tokens,
        )

    def _end_tokens(self) -> set[int]:
        """Tokens that end an answer, by the generation config and the tokenizer."""
        configured = self._network.generation_config.eos_token_id
        found = configured if isinstance(configured, list) else [configured]
        return {token for token in (*found, self._tokenizer.eos_token_id) if token is not None}

    def run(
        self, request: GenerationRequest, ids: list[int], limit: int, tap: "_Generation"
    ) -> None:
        """generate() itself, in the generation's thread; `tap` sees every token and may stop it."""
        import torch
        from transformers import StoppingCriteriaList

        served = self._served[request.model]
        base = self._network
        plain = served.adapter is None and hasattr(base, "disable_adapter")
        adapter = base.disable_adapter() if plain else nullcontext()
        with self._lock, torch.inference_mode(), adapter:
            if tap.cancelled:
                return
            if served.adapter is not None:
                base.set_adapter(self._adapters[served.name])
            _seed(request.sampling.seed)
            input_ids_1T = torch.tensor([ids], device=self._device)
            base.generate(
                input_ids=input_ids_1T,
                attention_mask=torch.ones_like(input_ids_1T),
                generation_config=self._generation_config(request.sampling, limit),
                streamer=tap,
                stopping_criteria=StoppingCriteriaList([tap.stop]),
            )

    def _generation_config(self, sampling: Sampling, limit: int) -> Any:
        """Exactly what was asked; the model's own sampling defaults do not join in."""
        from transformers import GenerationConfig

        ends = sorted(self._end_tokens())
        pad = self._tokenizer.pad_token_id
        drawn = (
            {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
            if sampling.temperature > 0
            else {"do_sample": False}
        )
        return GenerationConfig(
            **drawn,
            top_k=0 if sampling.temperature > 0 else None,
            max_new_tokens=limit,
            eos_token_id=ends,
            pad_token_id=pad if pad is not None else ends[0],
        )


def _seed(seed: int | None) -> None:
    import torch

    if seed is None:
        torch.seed()
    else:
        torch.manual_seed(seed)


class _Generation:
    """One generate() call in a thread, read token by token; cancelling ends it at the next one."""

    def __init__(
        self, engine: Engine, request: GenerationRequest, ids: list[int], limit: int
    ) -> None:
        self._tokens: queue.Queue[Any] = queue.Queue()
        self._cancelled = threading.Event()
        self._prompt_seen = False
        self._thread = threading.Thread(
            target=self._work, args=(engine, request, ids, limit), daemon=True
        )
        self._thread.start()

    def _work(self, engine: Engine, request: GenerationRequest, ids: list[int], limit: int) -> None:
        try:
            engine.run(request, ids, limit, self)
        except BaseException as error:  # handed to the reader, which raises it
            self._tokens.put(error)
        self._tokens.put(END)

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancelled.is_set()

    def put(self, value: Any) -> None:
        """transformers' streamer protocol: the prompt first, then each token."""
        if self._prompt_seen:
            for token in value.reshape(-1).tolist():
                self._tokens.put(token)
        self._prompt_seen = True

    def end(self) -> None:
        """transformers' streamer protocol; the thread itself says when it is done."""

    def stop(self, input_ids: Any, scores: Any, **rest: Any) -> Any:
        """transformers' stopping criterion: one answer for each row of the batch."""
        import torch

        done = self.cancelled
        return torch.full((input_ids.shape[0],), done, device=input_ids.device)

    def __iter__(self) -> Iterator[int]:
        while (item := self._tokens.get()) is not END:
            if isinstance(item, BaseException):
                raise item
            yield item

    def cancel(self) -> None:
        """End the call and wait for its thread."""
        self._cancelled.set()
        self._thread.join()
