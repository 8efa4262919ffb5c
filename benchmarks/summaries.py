"""Summaries before and after LoRA: does fine-tuning raise ROUGE over the base?

    python -m benchmarks.summaries [--train 600] [--test 60] [--characters 900]
                                   [--data xsum_docs_1000.jsonl]

The paper's Table 5 in small: trains SmolLM2-135M-Instruct with LoRA on one-sentence summaries of
news (XSum, Narayan et al. 2018), then measures base and tuned in one evaluation on documents that
were not trained on, through the use cases every door calls. Rows are lines of JSON with `document`
and `summary`; documents are cut to their first characters, so that a CPU gets through. Prints a
table with 95% intervals and writes benchmarks/results/summaries.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from domain.job import Job
from entrypoints.cli.eval_view import show_results
from entrypoints.container import Container, make_container
from ports.spec_reader import SpecText

DATA = "../shared/data/text/xsum_docs_1000.jsonl"
MODEL = "builtin:smollm2-135m-instruct"
ASK = "Summarize the news article in one sentence.\n\n"
RESULTS = Path(__file__).parent / "results"


def written(source: str, folder: Path, train: int, test: int, characters: int) -> tuple[str, str]:
    """(file of rows to train on, file of rows to measure on): the first ones and the next."""
    lines = Path(source).read_text(encoding="utf-8").splitlines()
    rows = [
        json.dumps({"instruction": ASK + row["document"][:characters], "output": row["summary"]})
        for row in map(json.loads, lines)
    ]
    files = {"train": rows[:train], "test": rows[train : train + test]}
    for name, part in files.items():
        (folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    return str(folder / "train.jsonl"), str(folder / "test.jsonl")


def ended(container: Container, job: Job) -> Any:
    """The results of a run, once its worker is through; its events are printed on the way."""
    for event in container.watch_run()(job.id):
        print(json.dumps(event.as_json()), flush=True)
    return json.loads(container.jobs().read_text(job, "results.json"))


def measured(container: Container, train: str, test: str, model: str) -> tuple[Job, Any]:
    """(the finished training run, what base and tuned reached)."""
    run = {
        "name": "summaries",
        "model": {"name": model},
        "data": {"train": [{"path": train}], "max_tokens": 512},
        "method": {"name": "lora", "rank": 16},
        "optimizer": {"learning_rate": 5e-4},
        "schedule": {"epochs": 1, "scheduler": "cosine", "warmup_ratio": 0.05},
        "batching": {"per_device": 4},
        "output": {"keep_checkpoints": 1, "checkpoint_every_steps": 100},
    }
    text = SpecText(text=json.dumps(run), format="json", source="benchmark")
    job = container.start_run()(text)
    ended(container, job)
    evaluation = {
        "name": "summaries",
        "model": {"name": job.id},
        "answers": [{"data": [{"path": test}], "title": "xsum", "max_tokens": 48, "limit": None}],
    }
    text = SpecText(text=json.dumps(evaluation), format="json", source="benchmark")
    return job, ended(container, container.start_evaluation()(text))


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--test", type=int, default=60)
    parser.add_argument("--characters", type=int, default=900, help="of a document, read")
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--model", default=MODEL)
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = (asked.data, Path(folder), asked.train, asked.test, asked.characters)
        train, test = written(*files)
        _, found = measured(make_container(f"{folder}/runs"), train, test, asked.model)
    base, tuned = found["models"]
    show_results(found["evaluations"], everything=False)
    figures = {
        each["title"]: {
            "base": each["models"][base]["overall"],
            "tuned": each["models"][tuned]["overall"],
            "p_value": each["comparison"]["p_value"],
        }
        for each in found["evaluations"]
    }
    document = {**vars(asked), "data": Path(asked.data).name, "scores": figures}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "summaries.json").write_text(json.dumps(document, indent=2) + "\n")
    print(f"{asked.train} rows trained, {asked.test} measured, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
