"""Answers by transformers' forward in batches that requests join and leave between steps.

One thread owns the network (`adapters.generation.scheduler`); readers decode their own answers.
Each answer has a random generator of its own, so that what else runs moves it only by rounding.
"""

from collections.abc import Generator, Sequence
from typing import Any

from adapters.generation.answers import AnswerText, echoed, pieces
from adapters.generation.constrained import Grammars
from adapters.generation.mailbox import Mailbox
from adapters.generation.switching import AdapterSwitch
from adapters.generation.text_engine import TextEngine
from adapters.generation.texts import ModelTexts
from adapters.models.attaching import merged
from adapters.models.hf import load_network
from domain.errors import Place, fail
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ResolvedModel
from domain.precision import PrecisionSection, choose_precision
from domain.sampling import GenerationRequest, ServedModel, TextDelta

DEVICES = {DeviceKind.ROCM: "cuda"}
"""PyTorch's names, where they differ from ours."""


class Engine(TextEngine):
    """Implements ports.inference.InferenceBackend and AdapterHost, and ports.tokens.Embedder."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        from adapters.generation.batch import stepper_of
        from adapters.generation.scheduler import Scheduler

        handle = resolved.handle
        dtype = choose_precision(PrecisionSection(), hardware).compute
        self._device = DEVICES.get(hardware.kind, hardware.kind.value)
        below = handle.adapters[:-1]
        network = merged(load_network(handle, dtype=dtype), below).to(self._device).eval()
        self._network = network
        stepper = stepper_of(network, self._device)
        self._adapters = AdapterSwitch(network, below)
        for each in (resolved, *resolved.siblings):
            if each.handle.adapters:
                self._adapters.add(each)
        self._texts = ModelTexts(handle)
        self._served = {model.name: model for model in resolved.served()}
        self._ends = end_tokens(network.generation_config.eos_token_id, self._texts.tokenizer)
        self._grammars = Grammars(self._texts.tokenizer, self._ends)
        self._scheduler = Scheduler(stepper, self._adapters)

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, its base where it has an adapter, and what was added."""
        return list(self._served.values())

    def add_model(self, model: ResolvedModel) -> None:
        """Answer as one more model. Raises HextuneError where its adapter does not fit here."""
        self._scheduler.call(lambda: self._adapters.add(model))
        (served, *_) = model.served()
        self._served = {**self._served, served.name: served}

    def remove_model(self, name: str) -> None:
        """Answer as it no more."""
        self._served = {each: model for each, model in self._served.items() if each != name}
        self._scheduler.call(lambda: self._adapters.remove(name))

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer; mistakes are told, and the request queued, before the first one."""
        from adapters.generation.batch import Row
        from adapters.generation.drawing import Drawing

        self._check(request.model)
        text, ids = self._texts.prompt(request)
        sampling = request.sampling
        self._texts.check_ids([token for token, _ in sampling.logit_bias], "logit_bias")
        calls = self._texts.tools.grammar(request)
        matcher = self._grammars.matcher(sampling.grammar) if sampling.grammar else None
        matcher = self._grammars.calls(calls) if calls else matcher
        row = Row(
            ids=ids,
            limit=self._texts.limit(len(ids), sampling.max_tokens),
            ends=self._ends,
            drawing=Drawing(sampling, matcher, self._device),
            mailbox=Mailbox(),
            scores=sampling.logprobs if request.echo else None,
        )
        self._scheduler.submit(request.model, row)
        return self._pieces(request, text, row)

    def embed(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        """The mean of the last hidden states over all tokens, at length 1."""
        self._check(model)
        self._texts.check_ids(ids, "input")
        if not ids:
            place = Place(field="input")
            raise fail("request-bad-field", place, field="input", reason="a text has no tokens")
        self._texts.limit(len(ids), 0)
        found: tuple[float, ...] = self._scheduler.call(lambda: self._embedding(model, ids))
        return found

    def close(self) -> None:
        """End the answers under way, and let the weights go."""
        self._scheduler.close()
        self._network = None

    def _pieces(self, request: GenerationRequest, text: str, row: Any) -> Generator[TextDelta]:
        tokens, tokenizer = iter(row.mailbox), self._texts.tokenizer
        try:
            if request.echo:
                yield echoed(tokenizer, text, next(tokens) if row.scores is not None else ())
            answer = AnswerText(
                tokenizer,
                request.sampling.stop,
                self._texts.reasoning(request, text),
                len(text) if request.echo else 0,
                self._texts.tools.split(request),
                marks_shown=self._texts.tools.marks_shown(request),
            )
            yield from pieces(tokens, answer, self._ends, len(row.ids))
        finally:
            row.mailbox.cancel()

    def _embedding(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        import torch

        self._adapters(model)
        ids_1T = torch.tensor([list(ids)], device=self._device)
        output = self._network(
            input_ids=ids_1T, use_cache=False, output_hidden_states=True, logits_to_keep=1
        )
        mean_D = output.hidden_states[-1][0].float().mean(0)
        return tuple(torch.nn.functional.normalize(mean_D, dim=0).tolist())


def end_tokens(configured: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer, by the generation config's `eos_token_id` and the tokenizer."""
    found = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*found, tokenizer.eos_token_id) if token is not None)
