"""LoRA on 200 Alpaca rows: does the held-out loss fall, and by how much?

    python -m benchmarks.alpaca_lora [--rows 200] [--data alpaca_en_demo.json]

Trains SmolLM2-135M-Instruct through the same use cases every door calls, prints the held-out loss
before and after with their ratio, and writes benchmarks/results/alpaca_lora.json.
"""

import argparse
import json
import tempfile
from pathlib import Path

from entrypoints.container import make_container
from ports.spec_reader import SpecText

DATA = "../shared/data/llamafactory/alpaca_en_demo.json"
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--data", default=DATA)
    asked = parser.parse_args()
    spec = {
        "name": "alpaca-lora",
        "model": {"name": "builtin:smollm2-135m-instruct"},
        "data": {
            "train": [{"path": asked.data, "format": "alpaca"}],
            "max_samples": asked.rows,
            "eval_fraction": 0.1,
            "max_tokens": 512,
        },
        "method": {"name": "lora", "rank": 8},
        "optimizer": {"learning_rate": 5e-4},
        "schedule": {"epochs": 1},
        "batching": {"per_device": 4},
    }
    with tempfile.TemporaryDirectory() as folder:
        container = make_container(folder)
        text = SpecText(text=json.dumps(spec), format="json", source="benchmark")
        job = container.start_run()(text)
        for event in container.watch_run()(job.id):
            print(json.dumps(event.as_json()), flush=True)
        results = json.loads(container.jobs().read_text(job, "results.json"))
    before, after = results["first_eval_loss"], results["last_eval_loss"]
    results["eval_loss_ratio"] = after / before
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "alpaca_lora.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"held-out loss {before:.4f} -> {after:.4f}, ratio {after / before:.3f}")


if __name__ == "__main__":
    main()
