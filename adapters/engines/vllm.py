"""Answers through vLLM in a process, and a Python, of its own.

The prompt is rendered and tokenized here, as for every engine, and goes to vLLM's completions as
token ids. `HEXTUNE_VLLM_PYTHON` names the interpreter that has vLLM, else it is this one;
`HEXTUNE_VLLM_ARGS` adds arguments of vLLM's server. Adapters are of kind LoRA, one over the base.
vLLM leaves out a character that is unfinished where an answer ends; the others show U+FFFD.
"""

import os
import shlex
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from adapters.completion_stream import CompletionStream, completion_body, completion_delta
from adapters.engines.transformers import end_tokens
from adapters.generation.text_engine import TextEngine
from adapters.generation.texts import ModelTexts
from adapters.models.attaching import adapter_kind
from adapters.vllm_server import URL, VllmServer
from domain.errors import HextuneError, fail
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ModelHandle, ResolvedModel
from domain.precision import PrecisionSection, choose_precision
from domain.sampling import GenerationRequest, ServedModel, TextDelta

PYTHON = "HEXTUNE_VLLM_PYTHON"
ARGUMENTS = "HEXTUNE_VLLM_ARGS"
RANK = 64
"""Largest rank of an adapter that is added while it runs."""
RANKS = (64, 128, 256, 320, 512)
"""Largest ranks that vLLM knows."""
MOST_LOGPROBS = 20
CPU_CACHE_GIB = 2
"""Keys and values kept on a CPU, where nothing else is said."""
SEEDS = 2**64


class Engine(TextEngine):
    """Implements ports.inference.InferenceBackend and AdapterHost, and ports.tokens.TextTokens."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        handle = resolved.handle
        self._check_base(handle)
        adapted = [each for each in (resolved, *resolved.siblings) if each.handle.adapters]
        for each in adapted:
            self._check_adapter(each)
        self._handle = handle
        self._texts = ModelTexts(handle)
        self._ends = sorted(configured_ends(handle, self._texts))
        self._end_texts = {self._texts.text([token]) for token in self._ends}
        self._served = {model.name: model for model in resolved.served()}
        self._added: dict[str, str] = {}
        arguments = server_arguments(handle, adapted, hardware)
        environment = {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", str(CPU_CACHE_GIB)),
        }
        python = os.environ.get(PYTHON, sys.executable)
        self._server = VllmServer(python, arguments, environment)
        self._server.restored = self._restore
        self._stream = CompletionStream(self._server.client, f"{URL}/v1")

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, its base where it has an adapter, and what was added."""
        return list(self._served.values())

    def add_model(self, model: ResolvedModel) -> None:
        """Answer as one more model. Raises HextuneError where vLLM does not take its adapter."""
        self._check_adapter(model)
        self._load(model.label, model.handle.adapters[-1])
        self._added[model.label] = model.handle.adapters[-1]
        (served, *_) = model.served()
        self._served = {**self._served, served.name: served}

    def remove_model(self, name: str) -> None:
        """Answer as it no more."""
        self._served = {each: model for each, model in self._served.items() if each != name}
        self._added.pop(name, None)
        self._server.post("/v1/unload_lora_adapter", {"lora_name": name})

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer; mistakes are told before the first one."""
        self._check(request.model)
        text, ids = self._texts.prompt(request)
        sampling = request.sampling
        self._texts.check_ids([token for token, _ in sampling.logit_bias], "logit_bias")
        limit = self._texts.limit(len(ids), sampling.max_tokens)
        self._server.check()
        body = completion_body(request, ids, limit) | {"stop_token_ids": self._ends}
        body |= self._tool_fields(request)
        if sampling.seed is not None:
            body["seed"] = (sampling.seed + SEEDS // 2) % SEEDS - SEEDS // 2
        return self._pieces(request, body, text)

    def close(self) -> None:
        """End the server and its own processes."""
        self._server.close()

    def _pieces(
        self, request: GenerationRequest, body: dict[str, object], text: str
    ) -> Generator[TextDelta]:
        split, calls = self._texts.reasoning(request, text), self._texts.tools.split(request)
        read = completion_delta(request.sampling.logprobs or 0)
        try:
            for delta in self._stream.deltas("/completions", body, read):
                told = self._without_end(delta)
                told = told if split is None else split.apart(told)
                yield told if calls is None else calls.apart(told)
        except HextuneError as error:
            gone = error.problems[0].code == "server-unreachable"
            raise (self._server.died() if gone else error) from None

    def _tool_fields(self, request: GenerationRequest) -> dict[str, object]:
        """What vLLM is asked for where there are tools; its guidance backend reads Lark."""
        grammar = self._texts.tools.grammar(request)
        return {
            **({"structured_outputs": {"grammar": grammar}} if grammar else {}),
            **({"skip_special_tokens": False} if self._texts.tools.marks_shown(request) else {}),
        }

    def _without_end(self, delta: TextDelta) -> TextDelta:
        """As OpenAI's API tells it: the token that ends an answer is no part of it."""
        logprobs = delta.logprobs
        if logprobs and not delta.text and logprobs[-1].text in self._end_texts:
            return replace(delta, logprobs=logprobs[:-1])
        return delta

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

    def _restore(self) -> None:
        for name, folder in self._added.items():
            self._load(name, folder)


def server_arguments(
    handle: ModelHandle, adapted: Sequence[ResolvedModel], hardware: Hardware
) -> list[str]:
    """Arguments of vLLM's server for a base and its adapters."""
    dtype = choose_precision(PrecisionSection(), hardware).compute
    rank = max([RANK, *(lora_rank(each.handle.adapters[-1]) for each in adapted)])
    given: dict[str, str] = {
        "--model": handle.path,
        "--served-model-name": handle.name,
        "--dtype": dtype,
        "--max-logprobs": str(MOST_LOGPROBS),
        "--max-lora-rank": str(next(each for each in RANKS if each >= rank)),
        # The model's own sampling defaults do not join in; its end tokens go with each request.
        "--generation-config": "vllm",
        "--structured-outputs-config": '{"backend": "guidance", "disable_any_whitespace": true}',
        **({"--revision": handle.revision} if handle.revision else {}),
    }
    modules = [f"{each.label}={Path(each.handle.adapters[-1]).resolve()}" for each in adapted]
    return [
        *(part for pair in given.items() for part in pair),
        "--enable-lora",
        *(["--lora-modules", *modules] if modules else []),
        *(["--enforce-eager"] if hardware.kind is DeviceKind.CPU else []),
        *shlex.split(os.environ.get(ARGUMENTS, "")),
    ]


def lora_rank(folder: str) -> int:
    """The largest rank of a LoRA adapter."""
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(folder)
    rank: int = max([config.r, *config.rank_pattern.values()])
    return rank


def configured_ends(handle: ModelHandle, texts: ModelTexts) -> frozenset[int]:
    """Tokens that end an answer, read without the weights."""
    from transformers import GenerationConfig

    configured = GenerationConfig.from_pretrained(handle.path, revision=handle.revision)
    return end_tokens(configured.eos_token_id, texts.tokenizer)
