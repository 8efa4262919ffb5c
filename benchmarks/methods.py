"""The paper's Table 4 in small: tuning methods on one model, one text and one machine.

    python -m benchmarks.methods [--tokens 8192] [--model MODEL] [--data FILE] [--methods a,b]
    python -m benchmarks.methods --shape llama2-7b        # random weights, on a GPU

Every method is a run of its own, trained one after the other on the same documents for the same
tokens. Prints trainable weights, planned and measured peak memory, tokens/s and the perplexity of
held-out documents before and after, writes benchmarks/results/methods.json, and fails where an
ordering of the paper does not hold: QLoRA takes less memory than any method that learns as many
weights, and every method ends below the perplexity of the model as it is, which random weights
cannot show. LLaMA-Factory paper, section 5.1: text of one field (there abstracts of PubMed, here
solved problems of GSM8K, Cobbe et al. 2021), 512 tokens a step, 8-bit AdamW, bfloat16, activation
checkpointing, rank 128 and alpha 256 for LoRA and QLoRA, rank 128 and scale 2 for GaLore, the last
3 layers for freeze-tuning.
The learning rate is 20 times the paper's 1e-5, as there are fewer steps.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = "../shared/data/exams/gsm8k_train.jsonl"
MODEL = "builtin:smollm2-135m-instruct"
RESULTS = Path(__file__).parent / "results"
TOKENS_PER_STEP = 512
HELD_OUT = 24
"""Documents whose perplexity is measured."""
LORA = {"name": "lora", "rank": 128, "alpha": 256}
ADAMW = {"name": "adamw_8bit", "learning_rate": 2e-4}
MIXED = {"mode": "mixed", "dtype": "bfloat16"}

LLAMA2 = {"model_type": "llama", "vocab_size": 32000, "max_position_embeddings": 4096}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "gemma-2b": {
        "model_type": "gemma",
        "vocab_size": 256000,
        "hidden_size": 2048,
        "intermediate_size": 16384,
        "num_hidden_layers": 18,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "head_dim": 256,
    },
    "llama2-7b": {**LLAMA2, "hidden_size": 4096, "intermediate_size": 11008},
    "llama2-13b": {
        **LLAMA2,
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 40,
        "num_attention_heads": 40,
    },
}
"""The published shapes of the paper's models; what is not named is the type's own default."""

METHODS: Mapping[str, Mapping[str, Any]] = {
    "full": {"method": {"name": "full"}, "optimizer": ADAMW, "precision": MIXED},
    "freeze": {
        "method": {"name": "freeze", "layers": 3},
        "optimizer": ADAMW,
        "precision": MIXED,
    },
    "galore": {
        "method": {"name": "full"},
        "optimizer": {"name": "galore", "rank": 128, "scale": 2.0, "learning_rate": 2e-4},
        "precision": {"mode": "half", "dtype": "bfloat16"},
    },
    "lora": {"method": LORA, "optimizer": ADAMW, "precision": MIXED},
    "qlora": {
        "method": LORA,
        "quantization": {"name": "bitsandbytes"},
        "optimizer": ADAMW,
        "precision": MIXED,
    },
}


def written(source: str, tokens: int, folder: Path) -> tuple[str, str]:
    """(documents to train on, documents held out), enough of them for the tokens asked for.

    Rows are lines of JSON: `text` is a document, or `question` and `answer` are one together.
    """
    rows = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").splitlines()]
    documents = [
        json.dumps({"text": row.get("text") or f"{row['question']}\n{row['answer']}"})
        for row in rows[: HELD_OUT + tokens // 32]
    ]
    parts = {"held": documents[:HELD_OUT], "train": documents[HELD_OUT:]}
    for name, part in parts.items():
        (folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    return str(folder / "train.jsonl"), str(folder / "held.jsonl")


def spec_of(name: str, asked: argparse.Namespace, train: str, held: str) -> str:
    """The run spec of a method, as JSON."""
    return json.dumps(
        {
            "name": name,
            "model": {"name": asked.model, "gradient_checkpointing": True},
            "stage": {"name": "pretrain"},
            "data": {
                "train": [{"path": train}],
                "eval": [{"path": held}],
                "max_tokens": TOKENS_PER_STEP,
            },
            "schedule": {"max_steps": max(1, asked.tokens // TOKENS_PER_STEP)},
            "batching": {"per_device": 1},
            "output": {"checkpoint_every_steps": 100_000, "keep_checkpoints": 1},
            **METHODS[name],
        }
    )


def random_model(shape: str, folder: Path) -> Path:
    """A checkpoint of a shape: random bfloat16 weights, and the built-in model's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from domain.run_spec import ModelSection
    from entrypoints.container import make_container

    values = dict(SHAPES[shape])
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    built_in = make_container().models().inspect(ModelSection(name=MODEL))
    AutoTokenizer.from_pretrained(built_in.path).save_pretrained(folder)
    return folder


def measured(name: str, asked: argparse.Namespace) -> dict[str, float]:
    """Train with one method in a worker process, and what its results say."""
    from entrypoints.container import make_container
    from ports.spec_reader import SpecText

    with tempfile.TemporaryDirectory() as folder:
        container = make_container(f"{folder}/runs")
        files = written(asked.data, asked.tokens, Path(folder))
        text = SpecText(text=spec_of(name, asked, *files), format="json", source=f"{name}.json")
        job = container.start_run()(text)
        while not (job := container.find_run()(job.id)).status.ended:
            time.sleep(1)
        results = json.loads(container.jobs().read_text(job, "results.json") or "{}")
        if not results:
            raise SystemExit(f"{name}: {job.problem}")
    return {
        "trainable": results["trainable"],
        "planned_gib": results["planned_memory_bytes"] / 1024**3,
        "peak_gib": results["peak_memory_bytes"] / 1024**3,
        "optimizer_mib": results["optimizer_state_bytes"] / 1024**2,
        "tokens": results["tokens"],
        "tokens_per_s": results["tokens"] / results["train_seconds"],
        "perplexity_before": math.exp(results["first_eval_loss"]),
        "perplexity_after": math.exp(results["last_eval_loss"]),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--shape", choices=sorted(SHAPES), help="random weights instead of --model")
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.shape:
            asked.model = str(random_model(asked.shape, Path(folder)))
        run(asked)


def run(asked: argparse.Namespace) -> None:
    """Measure every method and print a line for each; exits with 1 where an ordering is broken."""
    found: dict[str, dict[str, float]] = {}
    print("method   trainable  planned   peak     states     tokens/s  perplexity")
    for name in asked.methods.split(","):
        row = found[name] = measured(name, asked)
        print(
            f"{name:7} {row['trainable'] / 1e6:8.1f} M {row['planned_gib']:6.2f} GiB"
            f" {row['peak_gib']:6.2f} GiB {row['optimizer_mib']:6.0f} MiB"
            f" {row['tokens_per_s']:8.0f}  {row['perplexity_before']:.2f} -> "
            f"{row['perplexity_after']:.2f}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "methods.json").write_text(json.dumps(found, indent=2) + "\n")
    broken = broken_orderings(found, trained=asked.shape is None)
    print("\n".join(broken) or "the paper's orderings hold")
    raise SystemExit(bool(broken))


def broken_orderings(found: Mapping[str, Mapping[str, float]], *, trained: bool) -> list[str]:
    """What differs from the paper's Table 4, a line each.

    There adapters learn fewer weights than any other method; in a small model adapters of the same
    rank may learn more than three of its layers, so memory is compared where as much is learned.
    """
    baseline = min(row["perplexity_before"] for row in found.values())
    broken = [
        f"{name}: perplexity does not fall below the baseline's"
        for name, row in found.items()
        if trained and row["perplexity_after"] >= baseline
    ]
    packed = found.get("qlora", {"trainable": math.inf})
    broken += [
        f"{name} takes less memory than qlora"
        for name, row in found.items()
        if row["trainable"] >= packed["trainable"] and row["peak_gib"] < packed["peak_gib"]
    ]
    return broken


if __name__ == "__main__":
    main()
