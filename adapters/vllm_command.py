"""How vLLM is started: its interpreter, and the arguments and environment of every server of ours.

`HEXTUNE_VLLM_PYTHON` names the interpreter that has vLLM, else it is this one;
`HEXTUNE_VLLM_ARGS` adds arguments of vLLM's server.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

from domain.errors import Place, fail
from domain.model_handle import ModelHandle

PYTHON = "HEXTUNE_VLLM_PYTHON"
ARGUMENTS = "HEXTUNE_VLLM_ARGS"
CPU_CACHE_GIB = 2
"""Keys and values kept on a CPU, where nothing else is said."""


def vllm_python() -> str:
    """The interpreter that has vLLM."""
    return os.environ.get(PYTHON, sys.executable)


def check_vllm(field: str, value: str) -> None:
    """Raises HextuneError where that interpreter cannot find vLLM."""
    code = "import sys, importlib.util as u; sys.exit(u.find_spec('vllm') is None)"
    try:
        found = not subprocess.run([vllm_python(), "-c", code], check=False).returncode
    except OSError:
        found = False
    if not found:
        asked = f"{field}={value}"
        raise fail("vllm-missing", Place(field=field), feature=asked, python=vllm_python())


def base_arguments(handle: ModelHandle, *, dtype: str, on_cpu: bool) -> list[str]:
    """Serve a model as it is; its own sampling defaults do not join in."""
    given = {"--model": handle.path, "--dtype": dtype, "--generation-config": "vllm"}
    if handle.revision:
        given["--revision"] = handle.revision
    eager = ["--enforce-eager"] if on_cpu else []
    return [*(part for pair in given.items() for part in pair), *eager]


def said_arguments() -> list[str]:
    """What the user adds."""
    return shlex.split(os.environ.get(ARGUMENTS, ""))


def vllm_environment() -> Mapping[str, str]:
    """Adapters may change while it runs, and nothing is reported to its makers."""
    return {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", str(CPU_CACHE_GIB)),
    }
