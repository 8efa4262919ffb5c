"""Questions per second of our MMLU beside lm-evaluation-harness, and whether the answers agree.

    python -m benchmarks.eval --lm-eval PYTHON [--exam mmlu --path mmlu.zip]
                              [--subjects a,b,c] [--limit 50] [--shots 5] [--model NAME]
                              [--threads N] [--rounds 1] [--output eval]

PYTHON is that of a virtual environment with lm-eval[hf]. It gets the same questions as a local task
that it builds its own prompts for, and the same model in float32 on the same machine, with as many
threads and in batches of the same size; weights are loaded before the clock starts on either side.
Prints questions/s, their ratio and the agreement question by question, and writes
benchmarks/results/OUTPUT.json. Seconds of the processor say more than those of the clock where the
machine does other work beside; spinning threads count in them, so ask for one. With several rounds
the two take turns, and times are medians.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

DATA = "../shared/data/exams/mmlu.zip"
MODEL = "builtin:smollm2-135m-instruct"
SUBJECTS = "anatomy,formal_logic,high_school_geography,philosophy"
RESULTS = Path(__file__).parent / "results"
TIE_NATS = 1e-3
"""Options closer than this may change places by rounding."""
THEIRS = """
import json, sys, time
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
folder, model, shots, batch, threads = sys.argv[1:]
import torch
torch.set_num_threads(int(threads))
device = "cuda" if torch.cuda.is_available() else "cpu"
lm = HFLM(pretrained=model, dtype="float32", batch_size=int(batch), device=device)
tasks = json.load(open(folder + "/tasks.json"))
began, began_cpu = time.perf_counter(), time.process_time()
found = simple_evaluate(
    model=lm, tasks=tasks, num_fewshot=int(shots), bootstrap_iters=0, log_samples=True,
    task_manager=TaskManager(include_path=folder, include_defaults=False),
)
seconds = time.perf_counter() - began, time.process_time() - began_cpu
scores = {
    task: [[pair[0] for pair in each["filtered_resps"]]
           for each in sorted(found["samples"][task], key=lambda each: each["doc_id"])]
    for task in tasks
}
json.dump({"seconds": seconds, "scores": scores}, open(folder + "/found.json", "w"))
"""
"""What runs in the other environment."""

Scores = Mapping[str, Sequence[Sequence[float]]]
"""Subject to each question's log-likelihoods, in order."""
Seconds = tuple[float, float]
"""By the clock, and of the processor."""


def ours(exam: Any, model: str) -> tuple[Seconds, Scores]:
    """(seconds, scores) of a prepared exam."""
    from domain.model_handle import ResolvedModel
    from entrypoints.container import make_container
    from entrypoints.services.evaluation import Instruments

    container = make_container()
    resolved: ResolvedModel = container.resolve_model()(model)
    instruments = Instruments(
        partial(container.open_scorer, resolved), partial(container.open_engine, resolved)
    )
    instruments.scorer()
    began, began_cpu = time.perf_counter(), time.process_time()
    scores: dict[str, list[list[float]]] = {}
    for task in exam.tasks:
        place = {item: number for number, item in enumerate(task.items)}
        found: list[list[float]] = [[] for _ in task.items]
        for each in exam.measure(task, range(len(task.items)), model, instruments):
            found[place[each.item]] = each.detail["scores"]
        scores[task.subject] = found
    return (time.perf_counter() - began, time.process_time() - began_cpu), scores


def theirs(
    python: str, exam: Any, examples: Mapping[str, Sequence[Any]], model: str, shots: int
) -> tuple[Seconds, Scores]:
    """(seconds, scores) of lm-evaluation-harness on the same questions."""
    import torch

    from adapters.scorers.transformers import BATCH
    from domain.run_spec import ModelSection
    from entrypoints.container import make_container

    path = make_container().models().inspect(ModelSection(name=model)).path
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder), exam, examples)
        arguments = [folder, path, str(shots), str(BATCH), str(torch.get_num_threads())]
        subprocess.run([python, "-c", THEIRS, *arguments], check=True, stdout=sys.stderr)
        found = json.loads((Path(folder) / "found.json").read_text())
    clock, processor = found["seconds"]
    return (clock, processor), {name[5:]: each for name, each in found["scores"].items()}


def write_tasks(folder: Path, exam: Any, examples: Mapping[str, Sequence[Any]]) -> None:
    """A local task for each subject, in the layout and with the prompt of the harness's own."""
    names = []
    for subject, questions in exam.questions.items():
        for split, rows in (("dev", examples[subject]), ("test", questions)):
            lines = [
                {
                    "question": each.text,
                    "choices": list(each.options),
                    "answer": exam.exam.options.index(each.answer),
                }
                for each in rows
            ]
            file = folder / f"{subject}_{split}.jsonl"
            file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        name = f"exam_{subject}"
        task = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {
                "data_files": {
                    split: str(folder / f"{subject}_{split}.jsonl") for split in ("dev", "test")
                }
            },
            "test_split": "test",
            "fewshot_split": "dev",
            "fewshot_config": {"sampler": "first_n"},
            "description": exam.exam.intro.format(subject=exam.exam.subjects[subject].name),
            "output_type": "multiple_choice",
            "doc_to_text": "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\n"
            "C. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
            "doc_to_choice": list(exam.exam.options),
            "doc_to_target": "answer",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
        (folder / f"{name}.yaml").write_text(json.dumps(task), encoding="utf-8")
        names.append(name)
    (folder / "tasks.json").write_text(json.dumps(names), encoding="utf-8")


def agreement(exam: Any, mine: Scores, other: Scores) -> dict[str, float]:
    """How far two sets of scores agree, question by question."""
    pairs = [
        (question, a, b)
        for subject, questions in exam.questions.items()
        for question, a, b in zip(questions, mine[subject], other[subject], strict=True)
    ]
    letters = exam.exam.options

    def chosen(scores: Sequence[float]) -> str:
        return str(letters[max(range(len(scores)), key=lambda n: (scores[n], -n))])

    def tied(scores: Sequence[float]) -> bool:
        first, second, *_ = sorted(scores, reverse=True)
        return first - second < TIE_NATS

    differing = [(a, b) for _, a, b in pairs if chosen(a) != chosen(b)]
    return {
        "questions": len(pairs),
        "same_answer": len(pairs) - len(differing),
        "differing_without_tie": sum(not tied(a) for a, _ in differing),
        "largest_difference_nats": max(
            abs(x - y) for _, a, b in pairs for x, y in zip(a, b, strict=True)
        ),
        "our_accuracy": sum(chosen(a) == q.answer for q, a, _ in pairs) / len(pairs),
        "their_accuracy": sum(chosen(b) == q.answer for q, _, b in pairs) / len(pairs),
    }


def measured(
    python: str,
    exam_name: str,
    path: str,
    subjects: Sequence[str],
    shots: int,
    limit: int,
    model: str,
    rounds: int = 1,
) -> dict[str, float]:
    """Both on the same questions, in turns."""
    import torch

    from domain.eval_spec import ExamSection
    from entrypoints.container import make_container
    from entrypoints.services.sit_exam import SitExam

    reader = make_container().exams()
    asked = ExamSection(
        name=exam_name, path=path, shots=shots, subjects=tuple(subjects), limit=limit
    )
    exam = SitExam(reader)(asked, "exams.0")
    examples = {
        subject: reader.read(exam.exam, path, exam.exam.examples_split, subject)[0]
        for subject in subjects
    }
    turns = [
        (ours(exam, model), theirs(python, exam, examples, model, shots)) for _ in range(rounds)
    ]
    (_, mine), (_, other) = turns[-1]
    our_s, our_cpu_s = (median(each[0][0][n] for each in turns) for n in (0, 1))
    their_s, their_cpu_s = (median(each[1][0][n] for each in turns) for n in (0, 1))
    found = agreement(exam, mine, other)
    count = found["questions"]
    return {
        "subjects": len(subjects),
        "shots": shots,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        **found,
        "our_questions_per_s": count / our_s,
        "their_questions_per_s": count / their_s,
        "ratio": their_s / our_s,
        "our_questions_per_cpu_s": count / our_cpu_s,
        "their_questions_per_cpu_s": count / their_cpu_s,
        "cpu_ratio": their_cpu_s / our_cpu_s,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm-eval", required=True, help="python of an environment with lm-eval")
    parser.add_argument("--exam", default="mmlu")
    parser.add_argument("--path", default=DATA)
    parser.add_argument("--subjects", default=SUBJECTS)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--threads", type=int, help="of both; PyTorch's own number if not given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--output", default="eval", help="name of the file of results")
    asked = parser.parse_args()
    if asked.threads:
        import torch

        torch.set_num_threads(asked.threads)
    found = measured(
        asked.lm_eval,
        asked.exam,
        asked.path,
        asked.subjects.split(","),
        asked.shots,
        asked.limit,
        asked.model,
        asked.rounds,
    )
    for name, value in found.items():
        print(f"{name:26} {value:.6g}")
    RESULTS.mkdir(exist_ok=True)
    results = RESULTS / f"{asked.output}.json"
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
