"""Bytes per parameter: planned, measured, and as the LLaMA-Factory paper has them (section 3.2).

    python -m benchmarks.bytes_per_parameter [--model MODEL]

Takes one training step in each way and counts tensors: weights as they lie in memory, the 16-bit
copies that mixed precision keeps for the backward pass, gradients, optimizer states. Activations
are left out, as in the paper. Prints a table and writes it to benchmarks/results.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapters.optimizers import Weight
from domain.budget import bytes_per_parameter
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.spec_reader import SpecText

MODEL = "builtin:smollm2-135m-instruct"
RESULTS = Path(__file__).parent / "results"
MIXED = {"mode": "mixed", "dtype": "bfloat16"}
WAYS: Mapping[str, tuple[float | None, Mapping[str, Any]]] = {
    "full, mixed precision": (18, {"method": {"name": "full"}, "precision": MIXED}),
    "full, half precision": (
        8,
        {"method": {"name": "full"}, "precision": {"mode": "half", "dtype": "bfloat16"}},
    ),
    "lora": (None, {"precision": MIXED}),
    "qlora": (0.6, {"precision": MIXED, "quantization": {"name": "bitsandbytes"}}),
}
"""What the paper says, and the sections of a spec; the paper's 0.6 is of models of 7B and more."""


def spec_of(way: str, model: str, rows: str) -> SpecText:
    """The spec of a way to train."""
    spec = {
        "model": {"name": model},
        "data": {"train": [{"path": rows}]},
        "schedule": {"max_steps": 1},
        "batching": {"per_device": 1},
        **WAYS[way][1],
    }
    return SpecText(text=json.dumps(spec), format="json", source="benchmark")


def measured(container: Container, planned: Planned) -> float:
    """Bytes for each weight of the model after a step in this process."""
    import torch

    spec, plan = planned.document.spec, planned.plan
    packing = None
    if spec.quantization is not None:
        quantizer = container.quantizer(spec.quantization.name)
        packing = quantizer.loading(spec.quantization.options, plan.precision)
    catalog = container.catalog()
    loaded: Any = container.models().load(spec.model, plan.precision, packing)
    method = catalog.part("methods", spec.method.name)
    network = method.prepare(spec.method.options, loaded.handle, loaded.network).network
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    for _, tensor in learning:
        tensor.data = tensor.data.to(getattr(torch, plan.precision.trainable))
    copies = _step(network, planned.data.train[0].input_ids, learning, plan.precision)
    gradients = sum(tensor.grad.nbytes for _, tensor in learning)
    optimizer = catalog.part("optimizers", spec.optimizer.name)
    weights = [Weight(name, tensor, 1.0) for name, tensor in learning]
    built = optimizer.build(spec.optimizer.options, loaded.handle, weights).optimizer
    built.step()
    states = sum(
        value.nbytes
        for state in built.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
    held = sum(tensor.nbytes for tensor in _tensors(network))
    return float(held + copies + gradients + states) / plan.model.parameters


def _step(network: Any, tokens: Any, learning: list[tuple[str, Any]], policy: Any) -> int:
    """Forward and backward; bytes of the 16-bit copies of learning weights kept meanwhile."""
    import torch

    shapes = {frozenset(tensor.shape) for _, tensor in learning if tensor.ndim == 2}
    copies: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        copy = tensor.ndim == 2 and tensor.dtype == torch.bfloat16
        if mixed and copy and frozenset(tensor.shape) in shapes:
            copies[tensor.untyped_storage().data_ptr()] = tensor.nbytes
        return tensor

    mixed = policy.mode == "mixed"
    ids = torch.tensor([tokens])
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed),
    ):
        loss = network(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return sum(copies.values())


def _tensors(network: Any) -> Iterator[Any]:
    """Every weight once, and the scales of weights bitsandbytes has packed to 4 bits."""
    from bitsandbytes.nn import Params4bit

    for weight in network.parameters():
        yield weight
        if isinstance(weight, Params4bit):
            yield weight.quant_state.absmax
            if weight.quant_state.nested:
                yield weight.quant_state.state2.absmax


def table(container: Container, model: str, rows: str) -> dict[str, dict[str, float | None]]:
    """Planned, measured and the paper's bytes per parameter, by way."""
    found: dict[str, dict[str, float | None]] = {}
    for way, (paper, _) in WAYS.items():
        planned = container.plan_run()(spec_of(way, model, rows))
        found[way] = {
            "planned": bytes_per_parameter(planned.plan.memory, planned.plan.model),
            "measured": measured(container, planned),
            "paper": paper,
        }
    return found


def main() -> None:
    """Print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = table(make_container(folder), asked.model, "builtin:house-style")
    for way, row in found.items():
        paper = "-" if row["paper"] is None else f"{row['paper']:g}"
        print(
            f"{way:24}planned {row['planned']:6.2f}  measured {row['measured']:6.2f}  paper {paper}"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bytes_per_parameter.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
