"""Answers through vLLM in a process, and a Python, of its own.

The prompt is rendered and tokenized here, as for every engine, and goes to vLLM's completions as
token ids; vLLM is asked for no more than the request needs. Adapters are of kind LoRA, one over the
base; one that vLLM has no room for has it started again, after the answers that are under way.
vLLM leaves out a character that is unfinished where an answer ends; the others show U+FFFD.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.completion_stream import CompletionStream, completion_body
from adapters.engines.transformers import end_tokens
from adapters.generation.text_engine import TextEngine
from adapters.generation.texts import ModelTexts
from adapters.models.attaching import adapter_kind
from adapters.vllm_adapters import VllmAdapters
from adapters.vllm_command import base_arguments, said_arguments, vllm_environment, vllm_python
from adapters.vllm_logprobs import ASKED, LogprobReader
from adapters.vllm_server import URL, VllmServer
from domain.errors import HextuneError, fail
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ModelHandle, ResolvedModel
from domain.precision import PrecisionSection, choose_precision
from domain.sampling import GenerationRequest, ServedModel, TextDelta

MOST_LOGPROBS = 20
STRUCTURED = '{"backend": "guidance", "disable_any_whitespace": true}'
SEEDS = 2**64


class Engine(TextEngine):
    """Implements ports.inference (InferenceBackend, AdapterHost, Supervised) and TextTokens."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        handle = resolved.handle
        self._check_base(handle)
        adapted = [each for each in (resolved, *resolved.siblings) if each.handle.adapters]
        for each in adapted:
            self._check_adapter(each)
        self._handle = handle
        self._texts = ModelTexts(handle)
        self._ends = configured_ends(handle, self._texts)
        self._served = {model.name: model for model in resolved.served()}
        given = {each.label: each.handle.adapters[-1] for each in adapted}
        on_cpu = hardware.kind is DeviceKind.CPU
        self._adapters = VllmAdapters(handle.name, given, cpu=on_cpu)
        self._server = VllmServer(vllm_python(), self._arguments(hardware), vllm_environment())
        self._stream = CompletionStream(self._server.client, f"{URL}/v1")

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, its base where it has an adapter, and what was added."""
        return list(self._served.values())

    def add_model(self, model: ResolvedModel) -> None:
        """Answer as one more model. Raises HextuneError where vLLM does not take its adapter."""
        self._check_adapter(model)
        folder = model.handle.adapters[-1]
        if self._adapters.make_room(folder):
            self._server.restart()
        self._load(model.label, folder)
        self._adapters.add(model.label, folder)
        (served, *_) = model.served()
        self._served = {**self._served, served.name: served}

    def remove_model(self, name: str) -> None:
        """Answer as it no more."""
        self._served = {each: model for each, model in self._served.items() if each != name}
        self._adapters.remove(name)
        self._server.post("/v1/unload_lora_adapter", {"lora_name": name})

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer; mistakes are told before the first one."""
        self._check(request.model)
        text, ids = self._texts.prompt(request)
        sampling = request.sampling
        self._texts.check_ids([token for token, _ in sampling.logit_bias], "logit_bias")
        limit = self._texts.limit(len(ids), sampling.max_tokens)
        self._server.check()
        body = completion_body(request, ids, limit) | {"stop_token_ids": sorted(self._ends)}
        body |= self._tool_fields(request) | (ASKED if "logprobs" in body else {})
        if sampling.seed is not None:
            body["seed"] = (sampling.seed + SEEDS // 2) % SEEDS - SEEDS // 2
        return self._pieces(request, body, text, len(ids) if request.echo else 0)

    def check(self) -> None:
        """Raises HextuneError while vLLM cannot answer."""
        self._server.check()

    def close(self) -> None:
        """End the server and its own processes."""
        self._server.close()
        self._adapters.close()

    def _pieces(
        self, request: GenerationRequest, body: Mapping[str, Any], text: str, echoed: int
    ) -> Generator[TextDelta]:
        split, calls = self._texts.reasoning(request, text), self._texts.tools.split(request)
        told = request.sampling.logprobs or 0
        reader = LogprobReader(self._texts.tokenizer, self._ends, told, echoed)
        try:
            with self._server.answering():
                for delta in self._stream.deltas("/completions", body, reader.read):
                    apart = delta if split is None else split.apart(delta)
                    yield apart if calls is None else calls.apart(apart)
        except HextuneError as error:
            raise (self._server.died() if engine_ended(error) else error) from None

    def _tool_fields(self, request: GenerationRequest) -> dict[str, object]:
        """What vLLM is asked for where there are tools; its guidance backend reads Lark."""
        grammar = self._texts.tools.grammar(request)
        return {
            **({"structured_outputs": {"grammar": grammar}} if grammar else {}),
            **({"skip_special_tokens": False} if self._texts.tools.marks_shown(request) else {}),
        }

    def _check_base(self, handle: ModelHandle) -> None:
        changed = handle.rope is not None or handle.new_tokens
        if changed or len(handle.adapters) > 1:
            what = "read a base that is changed while it loads; merge the run first"
            raise fail("engine-cannot", name=handle.name, what=what)

    def _check_adapter(self, model: ResolvedModel) -> None:
        folder = model.handle.adapters[-1]
        if len(model.handle.adapters) > 1 or adapter_kind(folder) != "LORA":
            what = "switch adapters other than one of kind LoRA over the base; merge the run first"
            raise fail("engine-cannot", name=model.label, what=what)

    def _load(self, name: str, folder: str) -> None:
        reply = self._server.post(
            "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(Path(folder).resolve())}
        )
        if reply.is_error:
            raise fail("engine-cannot", name=name, what=f"load its adapter: {reply.text[:200]}")

    def _arguments(self, hardware: Hardware) -> Callable[[], list[str]]:
        dtype = choose_precision(PrecisionSection(), hardware).compute
        on_cpu = hardware.kind is DeviceKind.CPU
        fixed = [
            *base_arguments(self._handle, dtype=dtype, on_cpu=on_cpu),
            *("--max-logprobs", str(MOST_LOGPROBS), "--structured-outputs-config", STRUCTURED),
        ]
        return lambda: [*fixed, *self._adapters.arguments(), *said_arguments()]


def engine_ended(error: HextuneError) -> bool:
    """Whether vLLM is gone, or its server says so of the engine process behind it."""
    (found,) = error.problems
    refused = found.code == "server-refused" and "EngineCore" in str(found.facts["reason"])
    return found.code == "server-unreachable" or refused


def configured_ends(handle: ModelHandle, texts: ModelTexts) -> frozenset[int]:
    """Tokens that end an answer, read without the weights."""
    from transformers import GenerationConfig

    configured = GenerationConfig.from_pretrained(handle.path, revision=handle.revision)
    return end_tokens(configured.eos_token_id, texts.tokenizer)
