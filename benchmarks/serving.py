"""Serving SmolLM2-135M to several readers at once: our engines, plain generate, and bare vLLM.

    python -m benchmarks.serving [--model MODEL] [--streams 1,8,32] [--tokens 64] [--engines a,b]

Every stream asks one short question and reads the answer as it comes; prompts differ. Prints
tokens/s and the median time to the first token of each engine, ratios to one-by-one generate and
to bare vLLM (vLLM's server with no more than the model and the same dtype, asked over HTTP for the
same token ids), and writes benchmarks/results/serving.json. vLLM is measured where
HEXTUNE_VLLM_PYTHON names an interpreter that has it.
"""

import argparse
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MODEL = "builtin:smollm2-135m-instruct"
RESULTS = Path(__file__).parent / "results"
QUESTION = "Tell me a long story about a dog and the number {}."
SERIAL = 2
"""Streams that plain generate answers one by one; more take longer and say the same."""

Ask = Callable[[int], Iterator[int]]
"""Gives the tokens read so far, each time something was read."""


def measured(ask: Ask, streams: int) -> dict[str, float]:
    """Tokens/s of all streams together, and the median time to the first token in seconds."""
    firsts, counts = [0.0] * streams, [0] * streams

    def read(number: int) -> None:
        start = time.perf_counter()
        for count in ask(number):
            if not firsts[number]:
                firsts[number] = time.perf_counter() - start
            counts[number] = count

    threads = [threading.Thread(target=read, args=(number,)) for number in range(streams)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent_s = time.perf_counter() - start
    return {
        "tokens_per_s": sum(counts) / spent_s,
        "first_token_s": statistics.median(firsts),
        "tokens": sum(counts),
    }


def request_of(model: str, number: int, tokens: int) -> Any:
    """A greedy answer, whose story is longer than what is asked for."""
    from domain.conversation import Conversation, Message, Role
    from domain.sampling import GenerationRequest, Sampling

    said = Conversation((Message(Role.USER, QUESTION.format(number)),))
    sampling = Sampling(temperature=0.0, max_tokens=tokens)
    return GenerationRequest(model=model, conversation=said, sampling=sampling)


@contextmanager
def ours(model: str, engine: str, tokens: int) -> Iterator[Ask]:
    """One of our engines."""
    from entrypoints.container import make_container

    container = make_container()
    opened = container.choose_engine()([model], engine)()
    name = opened.models()[0].name

    def ask(number: int) -> Iterator[int]:
        read = 0
        for delta in opened.generate(request_of(name, number, tokens)):
            read = delta.completion_tokens or read + 1
            yield read

    yield ask
    opened.close()


@contextmanager
def plain(model: str, tokens: int) -> Iterator[Ask]:
    """transformers' generate, one request after another; it gives nothing before its end."""
    import torch

    from adapters.generation.texts import ModelTexts
    from adapters.models.hf import load_network
    from domain.precision import PrecisionSection, choose_precision
    from entrypoints.container import make_container

    container = make_container()
    handle = container.resolve_model()(model).handle
    dtype = choose_precision(PrecisionSection(), container.hardware().probe()).compute
    network, texts = load_network(handle, dtype=dtype).eval(), ModelTexts(handle)
    lock = threading.Lock()

    def ask(number: int) -> Iterator[int]:
        ids = torch.tensor([texts.prompt(request_of(model, number, tokens))[1]])
        with lock, torch.inference_mode():
            whole = network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                do_sample=False,
            )
        yield whole.shape[1] - ids.shape[1]

    yield ask


@contextmanager
def bare(model: str, tokens: int) -> Iterator[Ask]:
    """vLLM's own server with the same dtype, asked for the same token ids."""
    import httpx

    from adapters.generation.texts import ModelTexts
    from adapters.vllm_server import URL, VllmServer
    from domain.precision import PrecisionSection, choose_precision
    from entrypoints.container import make_container

    container = make_container()
    handle = container.resolve_model()(model).handle
    dtype = choose_precision(PrecisionSection(), container.hardware().probe()).compute
    arguments = ["--model", handle.path, "--dtype", dtype, "--served-model-name", "m"]
    cpu = ["--enforce-eager", "--generation-config", "vllm"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2"}
    server = VllmServer(os.environ["HEXTUNE_VLLM_PYTHON"], [*arguments, *cpu], environment)
    texts = ModelTexts(handle)

    def ask(number: int) -> Iterator[int]:
        ids = texts.prompt(request_of(model, number, tokens))[1]
        body = {"model": "m", "prompt": ids, "max_tokens": tokens, "temperature": 0, "stream": True}
        body |= {"stream_options": {"include_usage": True}}
        read = 0
        client: httpx.Client = server.client
        with client.stream("POST", f"{URL}/v1/completions", json=body) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    usage = json.loads(line[6:]).get("usage")
                    read = usage["completion_tokens"] if usage else read + 1
                    yield read

    yield ask
    server.close()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of each engine by number of streams."""
    model, tokens = arguments.model, arguments.tokens
    engines: dict[str, Any] = {
        "generate": lambda: plain(model, tokens),
        "transformers": lambda: ours(model, "transformers", tokens),
        "vllm": lambda: ours(model, "vllm", tokens),
        "bare vllm": lambda: bare(model, tokens),
    }
    wanted = arguments.engines.split(",") if arguments.engines else list(engines)
    if "HEXTUNE_VLLM_PYTHON" not in os.environ:
        wanted = [name for name in wanted if "vllm" not in name]
    found: dict[str, Any] = {}
    for name in wanted:
        with engines[name]() as ask:
            measured(ask, 1)
            counts = [SERIAL] if name == "generate" else arguments.streams
            found[name] = {str(count): measured(ask, count) for count in counts}
        for count, figures in found[name].items():
            print(
                f"{name:>13} {count:>3} streams: {figures['tokens_per_s']:7.1f} tokens/s, "
                f"first token after {figures['first_token_s']:.2f} s",
                flush=True,
            )
    return found


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Throughput against one-by-one generate, and of our vLLM engine against bare vLLM."""
    serial = found.get("generate", {}).get(str(SERIAL))
    against = {}
    for name in ("transformers", "vllm", "bare vllm"):
        for count, figures in found.get(name, {}).items():
            if serial:
                key = f"{name} {count} streams / generate"
                against[key] = figures["tokens_per_s"] / serial["tokens_per_s"]
            other = found.get("bare vllm", {}).get(count)
            if name != "bare vllm" and other:
                key = f"{name} {count} streams / bare vllm"
                against[key] = figures["tokens_per_s"] / other["tokens_per_s"]
    return against


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--engines", default="")
    parser.add_argument(
        "--streams", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 32]
    )
    arguments = parser.parse_args()
    found = run(arguments)
    against = ratios(found)
    for name, ratio in against.items():
        print(f"{name}: {ratio:.2f}")
    RESULTS.mkdir(exist_ok=True)
    figures = {"model": arguments.model, "tokens": arguments.tokens, "load": os.getloadavg()}
    text = json.dumps({**figures, "engines": found, "ratios": against}, indent=2)
    (RESULTS / "serving.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
