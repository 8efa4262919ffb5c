"""Loading scripts: run only where trusted, and every fault in them told with the script's line."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.row_sources import SourceRowReader
from domain.dataset import DataSource
from domain.dataset_info import import_entry
from domain.errors import HextuneError, Problem

READER = SourceRowReader(FolderCatalog())
SCRIPT = '''
"""A loading script as people write them: two configurations, a train and a test split."""
import json
import os

import datasets


class Poems(datasets.GeneratorBasedBuilder):
    BUILDER_CONFIGS = [datasets.BuilderConfig(name="long"), datasets.BuilderConfig(name="short")]
    DEFAULT_CONFIG_NAME = "long"

    def _info(self):
        text = datasets.Value("string")
        return datasets.DatasetInfo(
            features=datasets.Features({"instruction": text, "output": text})
        )

    def _split_generators(self, dl_manager):
        file = dl_manager.download("poems.jsonl")
        return [
            datasets.SplitGenerator(datasets.Split.TRAIN, gen_kwargs={"file": file, "part": 0}),
            datasets.SplitGenerator(datasets.Split.TEST, gen_kwargs={"file": file, "part": 1}),
        ]

    def _generate_examples(self, file, part):
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                row = json.loads(line)
                if number % 2 == part:
                    yield number, {"instruction": row["title"], "output": row[self.config.name]}
'''
POEMS = [{"title": f"t{n}", "long": f"long {n}", "short": f"s{n}"} for n in range(5)]


def script(folder: Path, text: str = SCRIPT) -> Path:
    (folder / "poems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in POEMS))
    path = folder / "poems.py"
    path.write_text(text)
    return path


def rows(path: Path, **asked: Any) -> list[tuple[int, object, object]]:
    found = READER.read(DataSource(path=str(path), trust_script=True, **asked))
    return [(row.line, row.values["instruction"], row.values["output"]) for row in found]


def fault(path: Path, **asked: Any) -> Problem:
    with pytest.raises(HextuneError) as caught:
        list(READER.read(DataSource(path=str(path), **{"trust_script": True, **asked})))
    (found,) = caught.value.problems
    assert found.place.file == str(path)
    return found


def test_a_trusted_script_gives_the_rows_of_its_split_and_configuration(tmp_path: Path) -> None:
    path = script(tmp_path)
    assert rows(path) == [(1, "t0", "long 0"), (2, "t2", "long 2"), (3, "t4", "long 4")]
    assert rows(path, split="test", subset="short") == [(1, "t1", "s1"), (2, "t3", "s3")]


def test_what_a_script_prints_is_kept_out_of_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCRIPT.replace("import json\n", "import json\nprint('loaded')\n")
    path = script(tmp_path, text.replace("row = json", "print('row'); row = json"))
    for _ in READER.read(DataSource(path=str(path), trust_script=True)):
        print("data")
    told = capsys.readouterr()
    assert told.out == "data\n" * 3
    assert told.err.split() == ["loaded"] + ["row"] * 5


def test_a_script_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = script(tmp_path)
    assert len(rows(path)) == 3
    path.write_text(SCRIPT.replace("% 2", "% 1"))
    assert len(rows(path)) == 5


def test_a_script_is_not_run_unless_it_is_trusted(tmp_path: Path) -> None:
    trace = tmp_path / "was_run"
    path = script(tmp_path, f"open({str(trace)!r}, 'w').close()\n{SCRIPT}")
    found = fault(path, trust_script=False)
    assert found.code == "data-script-untrusted"
    assert "Read it first" in found.hint
    assert "trust_script" in found.hint
    assert not trace.exists()
    assert len(rows(path)) == 3
    assert trace.exists()


def test_trust_is_for_the_script_a_path_names_only(tmp_path: Path) -> None:
    """A folder of data files is not searched for scripts."""
    script(tmp_path)
    source = DataSource(path=str(tmp_path), trust_script=True)
    assert len(list(READER.read(source))) == len(POEMS)


def test_what_cannot_be_streamed_is_prepared_first(tmp_path: Path) -> None:
    """`datasets` streams out of no tar archive by name: the script then runs on extracted files."""
    text = SCRIPT.replace(
        'dl_manager.download("poems.jsonl")',
        'os.path.join(dl_manager.download_and_extract("poems.tar"), "poems.jsonl")',
    )
    path = script(tmp_path, text)
    with tarfile.open(tmp_path / "poems.tar", "w") as archive:
        archive.add(tmp_path / "poems.jsonl", "poems.jsonl")
    (tmp_path / "poems.jsonl").unlink()
    assert rows(path) == [(1, "t0", "long 0"), (2, "t2", "long 2"), (3, "t4", "long 4")]
    path.write_text(text.replace("row = json", "row = jason"))
    found = fault(path)
    assert (found.code, found.place.line) == ("data-script-failed", line_of(path, "jason"))
    assert "NameError: name 'jason' is not defined" in found.facts["reason"]


def line_of(path: Path, words: str) -> int:
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("import json\n", "import jsonn\n", "ModuleNotFoundError: No module named 'jsonn'"),
        ("def _info(self):", "def _info(self:", "SyntaxError: '(' was never closed"),
        ('row["title"]', 'row["titel"]', "KeyError: 'titel'"),
        ("import os\n", "import os, sys; sys.exit(3)\n", "SystemExit: 3"),
        ('.download("poems', '.download("gone', "FileNotFoundError"),
        ("return datasets.DatasetInfo(", "return datasets.DatasetInfos(", "AttributeError"),
    ],
)
def test_what_a_script_raises_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    assert old in SCRIPT
    path = script(tmp_path, SCRIPT.replace(old, new))
    found = fault(path)
    assert found.code == "data-script-failed"
    assert found.facts["reason"].startswith(reason)
    words = "with open" if "gone" in new else new.strip()
    assert found.place.line == line_of(path, words)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import datasets\nclass Poems:\n    pass\n", "none"),
        ("from datasets import GeneratorBasedBuilder, ArrowBasedBuilder\n", "none"),
        (SCRIPT + "\n\nclass Other(Poems):\n    pass\n\n\nAgain = Other\n", "Other, Poems"),
    ],
)
def test_a_script_defines_one_builder(tmp_path: Path, text: str, found: str) -> None:
    problem = fault(script(tmp_path, text))
    assert (problem.code, problem.facts["found"]) == ("data-script-builder", found)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"split": "dev"}, ["Bad split: dev", "train", "test"]),
        ({"subset": "tiny"}, ["'tiny' not found", "long", "short"]),
    ],
)
def test_what_the_script_does_not_have_is_named(
    tmp_path: Path, asked: dict[str, str], words: list[str]
) -> None:
    found = fault(script(tmp_path), **asked)
    assert found.code == "data-script-failed"
    assert all(word in found.facts["reason"] for word in words)
    assert "`split`" in found.hint


def test_a_script_that_is_not_there_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(HextuneError) as caught:
        list(READER.read(DataSource(path=str(tmp_path / "gone.py"), trust_script=True)))
    assert caught.value.problems[0].code == "data-file-missing"


def test_an_imported_entry_runs_once_it_is_trusted(tmp_path: Path) -> None:
    """LLaMA-Factory names a folder that holds the script of the same name."""
    folder = tmp_path / "poems"
    folder.mkdir()
    script(folder)
    imported = import_entry({"script_url": "poems"}, str(tmp_path)).source
    with pytest.raises(HextuneError) as caught:
        list(READER.read(DataSource(**imported)))
    assert caught.value.problems[0].code == "data-script-untrusted"
    assert len(list(READER.read(DataSource(**{**imported, "trust_script": True})))) == 3
