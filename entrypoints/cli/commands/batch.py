"""batch: a file of requests to a file of answers, which goes on where it was cut off."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import HextuneError, Place, Problem, fail, problem
from entrypoints.cli.options import Engine, Runs, Url

Line = Mapping[str, Any]
FINAL = 500
"""A status from here on is no answer: the line is asked again."""
BUSY = 429


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("batch")(batch)


def batch(
    requests: Annotated[Path, typer.Argument(help="JSON Lines: custom_id, method, url, body.")],
    answers: Annotated[Path, typer.Argument(help="JSON Lines to write, or to go on with.")],
    model: Annotated[
        str, typer.Option(help="A finished run or a model.")
    ] = "builtin:smollm2-135m-instruct",
    engine: Engine = "transformers",
    url: Url = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 16,
    runs: Runs = "runs",
) -> None:
    """Answer a file of OpenAI's batch requests; answers are written as they come.

    What already stands in the file of answers is not asked again, unless it failed for a moment.
    """
    from entrypoints.cli.errors import wanted_language
    from entrypoints.container import make_container
    from entrypoints.http_api.batch import BatchDoor

    asked = read_requests(requests)
    done = finished(answers)
    left = [line for line in asked if line["custom_id"] not in done]
    typer.echo(f"{len(asked)} requests, {len(asked) - len(left)} answered already", err=True)
    if not left:
        return
    container = make_container(runs)
    open_engine = container.choose_engine()([model], engine, url)
    translator = container.translator()
    with closing(open_engine()) as opened, answers.open("a", encoding="utf-8") as output:
        door = BatchDoor(
            engine=opened,
            translator=translator,
            surroundings=container.surroundings(),
            language=translator.choose(wanted_language()),
        )
        failed = 0
        for answer in answered(door.answer, left, concurrency):
            output.write(json.dumps(answer, ensure_ascii=False) + "\n")
            output.flush()
            failed += answer["response"]["status_code"] != 200
    typer.echo(f"{len(left)} answered, {failed} of them with an error", err=True)


def answered(answer: Any, lines: Iterable[Line], concurrency: int) -> Iterator[Line]:
    """Answers as they come, so many lines being asked at once."""
    waiting = iter(lines)
    with ThreadPoolExecutor(concurrency) as pool:
        running: set[Future[Line]] = {
            pool.submit(answer, line) for line in islice(waiting, concurrency)
        }
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(answer, line) for line in islice(waiting, len(ready))}
            for each in ready:
                yield each.result()


def read_requests(path: Path) -> list[Line]:
    """The lines of a batch. Raises HextuneError with every line that is no request of its own."""
    if not path.is_file():
        raise fail("batch-missing", path=path)
    lines: list[Line] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            name = line["custom_id"]
            reason = f"custom_id {name} stands twice" if name in seen else ""
        except (ValueError, LookupError, TypeError):
            name, line, reason = "", {}, "it is no JSON object with a custom_id"
        if reason:
            place = Place(file=str(path), line=number)
            problems.append(problem("batch-bad-line", place, reason=reason))
        seen.add(name)
        lines.append(line)
    if problems:
        raise HextuneError(problems)
    return lines


def finished(path: Path) -> set[str]:
    """Names of the requests answered in a file; a line that was cut off, or failed, is dropped."""
    if not path.exists():
        return set()
    kept: dict[str, bytes] = {}
    for text in path.read_bytes().split(b"\n"):
        try:
            answer = json.loads(text)
            status = answer["response"]["status_code"]
            if status < FINAL and status != BUSY:
                kept[answer["custom_id"]] = text
        except (ValueError, LookupError, TypeError):
            continue
    whole = path.with_name(f"{path.name}.part")
    whole.write_bytes(b"".join(text + b"\n" for text in kept.values()))
    whole.replace(path)
    return set(kept)
