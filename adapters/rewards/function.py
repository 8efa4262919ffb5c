"""Reward function: a Python function of your own, run only where the spec says it is trusted.

The file defines `reward(prompts, answers, rows)`, which returns one number for each answer:
`prompts` are the texts of the person's last turns, `answers` those of the model, and each of `rows`
holds `messages`, the whole prompt, and `answer`, the reference.
"""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from adapters.rewards import Frozen, Reward, Setting
from adapters.rollouts import Answer
from domain.errors import HextuneError, Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import options_of, section

NAME = "reward"


@section
class Options:
    """Options of reward function."""

    path: str
    """The .py file that defines the function `reward`."""
    trust_script: bool = False
    """Run the file, with all rights you have. Read it first."""
    weight: float = 1.0
    """What the reward is multiplied by in the sum."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError for a file that is missing, not trusted, broken, or without function."""
    _function(options_of(Options, values), Place(field=f"{field}.path"))


def frozen(values: Mapping[str, Json], model: ModelHandle) -> Frozen:
    """Nothing that is known of."""
    return Frozen()


def build(values: Mapping[str, Json], setting: Setting) -> Reward:
    """Calls the function; what it prints goes to stderr."""
    options = options_of(Options, values)
    function = _function(options, Place(field="stage.rewards"))

    def score(answers: Sequence[Answer]) -> Any:
        prompts = [each.asked.messages[-1].content for each in answers]
        rows = [
            {
                "messages": [message.as_json() for message in each.asked.messages],
                "answer": each.asked.answer,
            }
            for each in answers
        ]
        texts = [each.text for each in answers]
        return _trusted(options.path, lambda: function(prompts, texts, rows))

    return score


def _function(options: Options, place: Place) -> Callable[..., Any]:
    file = Path(options.path).expanduser()
    if not file.is_file():
        raise fail("reward-file-missing", place, path=options.path, folder=Path.cwd())
    if not options.trust_script:
        raise fail("reward-untrusted", place, path=options.path)
    module = ModuleType("hextune_reward")
    module.__file__ = str(file)
    _trusted(
        options.path,
        lambda: exec(compile(file.read_bytes(), options.path, "exec"), module.__dict__),
    )
    found = vars(module).get(NAME)
    if not callable(found):
        raise fail("reward-no-function", place, path=options.path, name=NAME)
    return found  # type: ignore[no-any-return]


def _trusted(path: str, work: Callable[[], Any]) -> Any:
    """What `work` returns. Raises HextuneError for whatever goes wrong in the file."""
    try:
        with redirect_stdout(sys.stderr):
            return work()
    except (Exception, SystemExit) as error:  # a script raises what it likes
        raise _failed(error, path) from None


def _failed(error: BaseException, path: str) -> HextuneError:
    """What the file raised, with the last line of it that was reached."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
    place = Place(file=path, line=lines[-1] if lines else None)
    text = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return fail("reward-failed", place, path=path, reason=reason)
