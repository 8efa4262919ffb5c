"""Serving SmolLM2-135M to several readers at once: our engines, plain generate, and bare vLLM.

    python -m benchmarks.serving [--model MODEL] [--streams 1,8,32] [--tokens 64] [--engines a,b]
                                 [--rounds 3]

Every stream asks one short question and reads the answer as it comes; prompts differ. Prints
tokens/s and the median time to the first token of each engine, ratios to one-by-one generate and
to bare vLLM (vLLM's server with no more than the model and the same dtype, asked over HTTP for the
same token ids), and writes benchmarks/results/serving.json, by the engines that were measured
together. vLLM is measured where HEXTUNE_VLLM_PYTHON names an interpreter that has it.

Our vLLM and bare vLLM are open at the same time and measured in turn, the other one first in every
other round, so that what else the machine does meets both; the fastest round counts. Processor
time per token, of this process and of everything it started, depends less on that: the mean of all
rounds.
"""

import argparse
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

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
    own, all_of_it = time.process_time(), processor_s()
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
        "own_cpu_ms_per_token": 1000 * (time.process_time() - own) / sum(counts),
        "cpu_ms_per_token": 1000 * (processor_s() - all_of_it) / sum(counts),
    }


def processor_s() -> float:
    """Processor time of this process and of those it started."""
    here = psutil.Process()
    times = [each.cpu_times() for each in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in times)


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
    from adapters.vllm_command import base_arguments, vllm_environment, vllm_python
    from adapters.vllm_server import URL, VllmServer
    from domain.hardware import DeviceKind
    from domain.precision import PrecisionSection, choose_precision
    from entrypoints.container import make_container

    container = make_container()
    handle = container.resolve_model()(model).handle
    hardware = container.hardware().probe()
    dtype = choose_precision(PrecisionSection(), hardware).compute
    fixed = base_arguments(handle, dtype=dtype, on_cpu=hardware.kind is DeviceKind.CPU)
    arguments = [*fixed, "--served-model-name", "m"]
    server = VllmServer(vllm_python(), lambda: arguments, vllm_environment())
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


Engines = Mapping[str, Callable[[], AbstractContextManager[Ask]]]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of each engine by number of streams."""
    model, tokens = arguments.model, arguments.tokens
    engines: Engines = {
        "generate": lambda: plain(model, tokens),
        "transformers": lambda: ours(model, "transformers", tokens),
        "vllm": lambda: ours(model, "vllm", tokens),
        "bare vllm": lambda: bare(model, tokens),
    }
    wanted = arguments.engines.split(",") if arguments.engines else list(engines)
    if "HEXTUNE_VLLM_PYTHON" not in os.environ:
        wanted = [name for name in wanted if "vllm" not in name]
    apart = [[name] for name in wanted if "vllm" not in name]
    found: dict[str, Any] = {}
    for names in (*apart, [name for name in wanted if "vllm" in name]):
        counts = [SERIAL] if names == ["generate"] else arguments.streams
        rounds = arguments.rounds if len(names) > 1 else 1
        found |= together({name: engines[name] for name in names}, counts, rounds)
    return found


def together(engines: Engines, counts: Sequence[int], rounds: int) -> dict[str, Any]:
    """Figures of engines that are open at the same time."""
    runs: dict[str, dict[int, list[dict[str, float]]]]
    runs = {name: {count: [] for count in counts} for name in engines}
    with ExitStack() as stack:
        asks = {name: stack.enter_context(engine()) for name, engine in engines.items()}
        for ask in asks.values():
            measured(ask, 1)
        for number in range(rounds):
            order = list(asks) if number % 2 == 0 else list(reversed(asks))
            for count in counts:
                for name in order:
                    runs[name][count].append(measured(asks[name], count))
    found = {
        name: {str(count): summary(each) for count, each in by_count.items()}
        for name, by_count in runs.items()
    }
    for name, by_streams in found.items():
        for streams, figures in by_streams.items():
            print(line(name, streams, figures), flush=True)
    return found


def summary(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The fastest round, with processor times of all of them."""
    best = max(rounds, key=lambda each: each["tokens_per_s"])
    mean = {name: statistics.fmean(each[name] for each in rounds) for name in best if "cpu" in name}
    return {**best, **mean}


def line(name: str, streams: str, figures: Mapping[str, float]) -> str:
    """What is printed of an engine."""
    return (
        f"{name:>13} {streams:>3} streams: {figures['tokens_per_s']:7.1f} tokens/s, "
        f"first token after {figures['first_token_s']:.2f} s, "
        f"{figures['cpu_ms_per_token']:.2f} ms of processor time per token, "
        f"{figures['own_cpu_ms_per_token']:.2f} of it ours"
    )


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Throughput against one-by-one generate and bare vLLM, and processor time against the last."""
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
                key += ", processor time per token"
                against[key] = figures["cpu_ms_per_token"] / other["cpu_ms_per_token"]
    return against


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="")
    parser.add_argument(
        "--streams", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 32]
    )
    arguments = parser.parse_args()
    found = run(arguments)
    against = ratios(found)
    for name, ratio in against.items():
        print(f"{name}: {ratio:.2f}")
    asked = {"model": arguments.model, "tokens": arguments.tokens, "rounds": arguments.rounds}
    keep({**asked, "load": os.getloadavg(), "engines": found, "ratios": against})


def keep(figures: Mapping[str, Any]) -> None:
    """Write a run in the place of an earlier one of the same engines."""
    path = RESULTS / "serving.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[", ".join(figures["engines"])] = figures
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
