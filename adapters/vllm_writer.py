"""Answers of a policy while it learns, written by vLLM in a process of its own.

The server holds the base; the policy's adapter, as it is before the answers, is saved to a folder
and loaded under a new name, since vLLM goes on from what an adapter of the same name made of a
prompt. Prompts and answers travel as token ids. Every answer has its own seed; vLLM batches as
requests come, so two runs may still differ where two tokens are nearly as likely.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from adapters.rollouts import Answer, answer_of, end_tokens
from adapters.vllm_adapters import VllmAdapters
from adapters.vllm_command import base_arguments, said_arguments, vllm_environment, vllm_python
from adapters.vllm_server import VllmServer
from domain.errors import fail
from domain.model_handle import ModelHandle
from domain.prompted import Prompted

LEARNING = "default"
"""What PEFT calls the adapter that learns."""


@dataclass(slots=True)
class VllmWriter:
    """Writes answers as `adapters.rollouts.Writer` does; its server starts with the first ones."""

    tokenizer: Any
    max_new_tokens: int
    temperature: float
    model: ModelHandle
    """What the network was loaded from."""
    _folder: TemporaryDirectory[str] | None = field(default=None, init=False)
    _server: VllmServer | None = field(default=None, init=False)
    _adapters: VllmAdapters | None = field(default=None, init=False)
    _policies: int = field(default=0, init=False)
    """Adapters so far; the name of the last one ends with it."""

    def write(
        self, network: Any, prompts: Sequence[tuple[Prompted, Sequence[int]]], seeds: Sequence[int]
    ) -> list[Answer]:
        """One answer to each prompt. Raises HextuneError where vLLM refuses or ends."""
        server = self._holding(network)
        ends = end_tokens(network, self.tokenizer)

        def ask(number: int) -> Answer:
            asked, ids = prompts[number]
            body = {
                "model": self._name,
                "prompt": list(ids),
                "max_tokens": self.max_new_tokens,
                "temperature": self.temperature,
                "seed": seeds[number],
                "stop_token_ids": list(ends),
                "return_token_ids": True,
            }
            reply = self._posted(server, "/v1/completions", body)
            tokens = reply.json()["choices"][0]["token_ids"]
            return answer_of(self.tokenizer, asked, ids, tokens, ends)

        with ThreadPoolExecutor(len(prompts)) as threads:
            return list(threads.map(ask, range(len(prompts))))

    def close(self) -> None:
        """End the server, if there is one."""
        if self._server is not None and self._adapters is not None and self._folder is not None:
            self._server.close()
            self._adapters.close()
            self._folder.cleanup()
        self._server = self._adapters = self._folder = None

    @property
    def _name(self) -> str:
        return f"policy-{self._policies}"

    def _holding(self, network: Any) -> VllmServer:
        """The server, which has the network's adapter as it is now."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="hextune-policy-")
        folder, former = self._folder.name, self._name
        self._policies += 1
        network.save_pretrained(folder, selected_adapters=[LEARNING])
        if self._server is None or self._adapters is None:
            on_cpu = network.device.type == "cpu"
            self._adapters = VllmAdapters("base", {self._name: folder}, cpu=on_cpu)
            self._server = self._started(network, self._adapters)
        else:
            loaded = {"lora_name": self._name, "lora_path": folder}
            self._posted(self._server, "/v1/load_lora_adapter", loaded)
            self._posted(self._server, "/v1/unload_lora_adapter", {"lora_name": former})
            self._adapters.add(self._name, folder)
            self._adapters.remove(former)
        return self._server

    def _started(self, network: Any, adapters: VllmAdapters) -> VllmServer:
        dtype = str(network.dtype).removeprefix("torch.")
        fixed = base_arguments(self.model, dtype=dtype, on_cpu=network.device.type == "cpu")
        return VllmServer(
            vllm_python(),
            lambda: [*fixed, *adapters.arguments(), *said_arguments()],
            vllm_environment(),
        )

    def _posted(self, server: VllmServer, path: str, body: dict[str, Any]) -> Any:
        server.check()
        reply = server.post(path, body)
        if reply.is_error:
            raise fail("vllm-refused", reason=reply.text[:200])
        return reply
