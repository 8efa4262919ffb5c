"""Rows per second from file to packed tokens: ours beside `datasets.map` with apply_chat_template.

    python -m benchmarks.data [--rows 10000] [--data alpaca_en_demo.json] [--llamafactory PYTHON]

PYTHON is that of a virtual environment with LLaMA-Factory, whose own loader then runs too; its
tokens of a row are the same. All read the same file and run in a process of their own, so that peak
memory is each one's. Prints rows/s, peak memory and their ratios, and writes
benchmarks/results/data.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

DATA = "../shared/data/llamafactory/alpaca_en_demo.json"
MODEL = "builtin:smollm2-135m-instruct"
RESULTS = Path(__file__).parent / "results"
LIMIT = 1024
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the model's own template says where a row has no system turn."""


def ours(path: str) -> int:
    """Align, render, tokenize, mask and pack; the number of rows."""
    from domain.dataset import DatasetKind, DataSource
    from domain.run_spec import DataSection, ModelSection
    from entrypoints.container import make_container
    from entrypoints.services.encode_rows import Preparation
    from entrypoints.services.prepare_data import PrepareData

    container = make_container()
    handle = container.models().inspect(ModelSection(name=MODEL))
    data = DataSection(train=(DataSource(path=path, format="alpaca"),), max_tokens=LIMIT)
    asked = Preparation(
        stage="sft",
        eats=DatasetKind.CONVERSATION,
        context_tokens=handle.context_tokens,
        packing=True,
        seed=0,
    )
    began = time.perf_counter()
    # Without the cache, as nothing has been encoded before.
    prepare = PrepareData(container.rows())
    prepared = prepare(data, container.models().encoder(handle), asked)
    print(json.dumps({"seconds": time.perf_counter() - began, "packs": prepared.sequences}))
    return len(prepared.train)


def straight(path: str) -> int:
    """What one writes by hand: load_dataset, then map with apply_chat_template, on two cores."""
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import pack_dataset

    from adapters.catalog import FolderCatalog
    from adapters.models.builtin import builtin_folder

    tokenizer = AutoTokenizer.from_pretrained(builtin_folder(FolderCatalog(), MODEL))

    def encode(row: dict[str, str]) -> dict[str, list[int]]:
        question = "\n".join(text for text in (row["instruction"], row["input"]) if text)
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": row["output"]},
        ]
        return {"input_ids": tokenizer.apply_chat_template(messages)["input_ids"]}

    began = time.perf_counter()
    rows = load_dataset("json", data_files=path, split="train", cache_dir=tempfile.mkdtemp())
    encoded = rows.map(encode, num_proc=os.cpu_count(), remove_columns=rows.column_names)
    packed = pack_dataset(encoded, seq_length=LIMIT, strategy="bfd")
    print(json.dumps({"seconds": time.perf_counter() - began, "packs": len(packed)}))
    return len(encoded)


def llamafactory(path: str, model: str) -> int:
    """LLaMA-Factory's loader with its ChatML template, packing without contamination, two workers.

    Standard library and LLaMA-Factory only: this runs in that one's environment.
    """
    if find_spec("torchaudio") is None:  # imported even where there is no audio
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)
    from llamafactory.data import (  # type: ignore[import-not-found]
        get_dataset,
        get_template_and_fix_tokenizer,
    )
    from llamafactory.hparams import get_train_args  # type: ignore[import-not-found]
    from llamafactory.model import load_tokenizer  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        Path(folder, "dataset_info.json").write_text(json.dumps({"rows": {"file_name": path}}))
        asked = {"stage": "sft", "do_train": True, "use_cpu": True, "model_name_or_path": model,
                 "dataset": "rows", "dataset_dir": folder, "template": "chatml",
                 "default_system": SYSTEM, "cutoff_len": LIMIT, "packing": True,
                 "neat_packing": True, "preprocessing_num_workers": 2, "cache_dir": folder,
                 "output_dir": f"{folder}/out"}  # fmt: skip
        model_args, data_args, training_args, _, _ = get_train_args(asked)
        loaded = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
        began = time.perf_counter()
        packs = get_dataset(template, model_args, data_args, training_args, stage="sft", **loaded)
        found = {"seconds": time.perf_counter() - began, "packs": len(packs["train_dataset"])}
    print(json.dumps(found))
    with Path(path).open(encoding="utf-8") as file:
        return sum(1 for _ in file)


def measured(way: str, path: str, python: str = sys.executable) -> dict[str, float]:
    """Rows/s and peak memory (of the process and its largest child) of one way."""
    command = [python, "-m", "benchmarks.data", "--way", way, "--file", path]
    if way == "llamafactory":
        from adapters.catalog import FolderCatalog
        from adapters.models.builtin import builtin_folder

        command += ["--model", str(builtin_folder(FolderCatalog(), MODEL))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--llamafactory", metavar="PYTHON", help="python of its environment")
    parser.add_argument("--way", choices=("ours", "straight", "llamafactory"))
    parser.add_argument("--file")
    parser.add_argument("--model")
    asked = parser.parse_args()
    if asked.way:
        peer = partial(llamafactory, model=asked.model)
        ways: dict[str, Callable[[str], int]] = {
            "ours": ours,
            "straight": straight,
            "llamafactory": peer,
        }
        rows = ways[asked.way](asked.file)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps({"rows": rows, "peak_mib": (own + child) / 1024}))
        return
    source = json.loads(Path(asked.data).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(asked.rows):
                row = source[number % len(source)]
                numbered = {**row, "instruction": f"{number}. {row['instruction']}"}
                file.write(json.dumps(numbered) + "\n")
        results = {way: measured(way, str(path)) for way in ("straight", "ours")}
        if asked.llamafactory:
            results["llamafactory"] = measured("llamafactory", str(path), asked.llamafactory)
    for way, found in results.items():
        found["rows_per_s"] = found["rows"] / found["seconds"]
        print(f"{way:12} {found['rows_per_s']:8.0f} rows/s  {found['peak_mib']:6.0f} MiB peak")
    if not asked.llamafactory:
        print("llamafactory: skipped, as --llamafactory does not name its python")
    for way in [way for way in results if way != "ours"]:
        speed = results["ours"]["rows_per_s"] / results[way]["rows_per_s"]
        memory = results["ours"]["peak_mib"] / results[way]["peak_mib"]
        print(f"ours / {way}: {speed:.2f} x rows/s, {memory:.2f} x peak memory")
        results[f"ours / {way}"] = {"rows_per_s": speed, "peak_memory": memory}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "data.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
