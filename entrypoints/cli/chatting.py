"""A chat in the terminal: answers stream, and the adapter can be switched off and on."""

import json
import sys
from collections.abc import Sequence

from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.sampling import GenerationRequest, Sampling
from entrypoints.cli.errors import translated
from ports.inference import InferenceBackend

COMMANDS = """\
/adapter   switch the adapter off or on
/clear     forget the conversation
/system X  set the system prompt and start anew
/help      this
/quit      leave (Ctrl-D too)"""


class Chatting:
    """One conversation with one engine."""

    def __init__(self, engine: InferenceBackend, sampling: Sampling, system: str | None) -> None:
        self._engine = engine
        self._sampling = sampling
        self._system = system
        self._names = [model.name for model in engine.models()]
        self._name = self._names[0]
        self._said: list[Message] = []

    def answer_all(self, questions: Sequence[str], *, compare: bool, as_json: bool) -> None:
        """Answer each question on its own; with `compare`, by the base model first."""
        names = list(reversed(self._names)) if compare else self._names[:1]
        for question in questions:
            if as_json:
                answers = {name: self._complete(name, question) for name in names}
                print(json.dumps({"question": question, "answers": answers}, ensure_ascii=False))
                continue
            print(f"> {question}")
            for name in names:
                if compare:
                    print(f"[{self._label(name)}] ", end="", flush=True)
                self._stream(name, self._conversation([Message(Role.USER, question)]))

    def talk(self) -> None:
        """Read lines until /quit or the end of input; Ctrl-C ends an answer, not the chat."""
        print(f"{self._name}. /help lists the commands.", file=sys.stderr)
        while True:
            try:
                line = input("> ").strip()
            except (EOFError, KeyboardInterrupt):
                print()
                return
            if line in ("/quit", "/exit"):
                return
            if line.startswith("/"):
                self._command(line)
            elif line:
                self._turn(line)

    def _turn(self, line: str) -> None:
        asked = [*self._said, Message(Role.USER, line)]
        try:
            answer = self._stream(self._name, self._conversation(asked))
        except HextuneError as error:
            message, hint = translated(error.problems[0])
            print(f"error: {message}\n\nhint: {hint}", file=sys.stderr)
            return
        self._said = [*asked, Message(Role.ASSISTANT, answer)]

    def _command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if name == "/adapter" and len(self._names) > 1:
            self._name = self._names[1 - self._names.index(self._name)]
            print(f"now answering: {self._label(self._name)}", file=sys.stderr)
        elif name == "/adapter":
            print("this model has no adapter", file=sys.stderr)
        elif name == "/clear":
            self._said = []
        elif name == "/system":
            self._system, self._said = rest or None, []
        else:
            print(COMMANDS, file=sys.stderr)

    def _label(self, name: str) -> str:
        return "tuned" if name == self._names[0] and len(self._names) > 1 else "base"

    def _conversation(self, said: Sequence[Message]) -> Conversation:
        system = [Message(Role.SYSTEM, self._system)] if self._system else []
        return Conversation((*system, *said))

    def _stream(self, name: str, conversation: Conversation) -> str:
        """Print an answer as it comes; what came before a Ctrl-C is the answer."""
        pieces: list[str] = []
        request = GenerationRequest(model=name, conversation=conversation, sampling=self._sampling)
        answer = self._engine.generate(request)
        try:
            for delta in answer:
                pieces.append(delta.text)
                print(delta.reasoning, end="", file=sys.stderr, flush=True)
                print(delta.text, end="", flush=True)
        except KeyboardInterrupt:
            answer.close()
        print()
        return "".join(pieces)

    def _complete(self, name: str, question: str) -> str:
        conversation = self._conversation([Message(Role.USER, question)])
        request = GenerationRequest(model=name, conversation=conversation, sampling=self._sampling)
        return "".join(delta.text for delta in self._engine.generate(request))
