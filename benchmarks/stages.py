"""Every stage over answers and documents on real data: does its own figure move the right way?

    python -m benchmarks.stages [--steps 16] [--stages reward,dpo] [--data FOLDER]

Trains SmolLM2-135M-Instruct with LoRA of rank 8 through the same use cases every door calls, one
stage after the other, four times over the shortest rows of a file. Prints the stage's figure over
the first pass and over the last, which are the same rows, writes benchmarks/results/stages.json,
and fails where one moves the wrong way or stays below what it has to reach. The stages that learn
from rewards are `examples/{ppo,grpo,rloo}.yaml`, which print their figures themselves.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

DATA = "../shared/data/llamafactory"
RESULTS = Path(__file__).parent / "results"
PASSES = 4
ROWS_PER_STEP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stage, its data, and the figure that tells whether it learns."""

    file: str
    """Rows, inside the data folder."""
    figure: str = "rewards/margin"
    """Name of the figure in the events of steps."""
    less: str | None = None
    """Name of a figure it is taken less of; a step may lack either."""
    rises: bool = True
    """Whether it should rise."""
    reaches: float = -math.inf
    """What it has to come to, at the least."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What else a spec says of the rows."""
    longer: int = 1
    """How many times as many steps it takes as asked."""


CASES = {
    "pretrain": Case(file="c4_demo.jsonl", figure="loss", rises=False),
    "sft": Case(file="alpaca_en_demo.json", figure="loss", rises=False),
    "reward": Case(file="dpo_en_demo.json", figure="rewards/accuracy", reaches=0.7, longer=2),
    "dpo": Case(file="dpo_en_demo.json"),
    "kto": Case(
        file="kto_en_demo.json",
        figure="rewards/liked",
        less="rewards/disliked",
        source={
            "format": "sharegpt",
            "columns": {"messages": "messages", "kto_tag": "label"},
            "tags": {
                "role": "role",
                "content": "content",
                "user": "user",
                "assistant": "assistant",
            },
        },
    ),
    "orpo": Case(file="dpo_en_demo.json"),
    "simpo": Case(file="dpo_en_demo.json"),
    "cpo": Case(file="dpo_en_demo.json"),
}


def shortest(file: Path, count: int) -> list[Any]:
    """Rows of a JSON or JSON-lines file whose text is short."""
    text = file.read_text(encoding="utf-8")
    rows = json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())
    return sorted(rows, key=lambda row: len(json.dumps(row)))[:count]


def spec_of(stage: str, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The run spec of a stage, over rows written to `folder`."""
    case = CASES[stage]
    steps = asked.steps * case.longer
    path = folder / f"{stage}.json"
    rows = shortest(Path(asked.data, case.file), steps * ROWS_PER_STEP // PASSES)
    path.write_text(json.dumps(rows), encoding="utf-8")
    return {
        "name": stage,
        "model": {"name": "builtin:smollm2-135m-instruct"},
        "stage": {"name": stage},
        "data": {"train": [{"path": str(path), **case.source}], "max_tokens": 512},
        "method": {"name": "lora", "rank": 8},
        "optimizer": {"learning_rate": 1e-4},
        "schedule": {"epochs": PASSES},
        "batching": {"per_device": ROWS_PER_STEP, "packing": False},
    }


def trained(stage: str, asked: argparse.Namespace) -> dict[str, float]:
    """Train one stage, and its figure over the first and the last pass."""
    from entrypoints.container import make_container
    from ports.spec_reader import SpecText

    with tempfile.TemporaryDirectory() as folder:
        container = make_container(f"{folder}/runs")
        spec = spec_of(stage, asked, Path(folder))
        text = SpecText(text=json.dumps(spec), format="json", source=stage)
        job = container.start_run()(text)
        events = list(container.watch_run()(job.id))
        ended = container.find_run()(job.id)
    if ended.problem:
        raise SystemExit(f"{stage}: {ended.problem['message']}")
    steps = [e.data for e in events if e.kind.value == "step"]
    part, case = len(steps) // PASSES, CASES[stage]

    def mean(found: Sequence[Mapping[str, Any]]) -> float:
        value = fmean(step[case.figure] for step in found if case.figure in step)
        return value - fmean(s[case.less] for s in found if case.less in s) if case.less else value

    return {"steps": len(steps), "first": mean(steps[:part]), "last": mean(steps[-part:])}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--stages", default=",".join(CASES))
    parser.add_argument("--data", default=DATA)
    asked = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for stage in asked.stages.split(","):
        row = found[stage] = trained(stage, asked)
        print(
            f"{stage:9} {CASES[stage].figure:17} {row['first']:8.4f} -> {row['last']:8.4f}"
            f"  in {row['steps']} steps",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "stages.json").write_text(json.dumps(found, indent=2) + "\n")
    wrong = wrong_ways(found)
    print("\n".join(f"{stage} does not move as it should" for stage in wrong) or "all move well")
    raise SystemExit(bool(wrong))


def wrong_ways(found: dict[str, dict[str, float]]) -> Sequence[str]:
    """Stages whose figure does not move as it should, or not far enough."""
    return [
        stage
        for stage, row in found.items()
        if (row["last"] > row["first"]) is not CASES[stage].rises
        or row["last"] < CASES[stage].reaches
    ]


if __name__ == "__main__":
    main()
