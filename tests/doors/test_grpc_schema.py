"""The committed gRPC code is what the protos say."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.grpc_api.generate import GENERATED, PROTOS, generate, relative_imports
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2_grpc


def committed() -> list[Path]:
    return sorted(GENERATED.rglob("*_pb2*.py*"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("generated")
    generate(target)
    return target


def descriptors(folder: Path) -> dict[str, str]:
    """The compiled schema in each generated module, which every protoc writes alike."""
    return {
        str(path.relative_to(folder)): next(
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if "AddSerializedFile(" in line
        )
        for path in sorted(folder.rglob("*_pb2.py"))
    }


def test_the_committed_schema_is_that_of_the_protos(fresh: Path) -> None:
    assert len(descriptors(fresh)) == len(list(PROTOS.rglob("*.proto")))
    assert descriptors(GENERATED) == descriptors(fresh)


@pytest.mark.skipif(
    importlib.metadata.version("grpcio-tools") != jobs_pb2_grpc.GRPC_GENERATED_VERSION,
    reason="another version of grpcio-tools words the same code differently",
)
def test_the_committed_code_is_what_the_generator_writes(fresh: Path) -> None:
    written = sorted(path for path in fresh.rglob("*") if path.is_file())
    assert [path.relative_to(fresh) for path in written] == [
        path.relative_to(GENERATED) for path in committed() if "__pycache__" not in path.parts
    ]
    for path in written:
        text = (GENERATED / path.relative_to(fresh)).read_text(encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), path.name


def test_imports_between_generated_modules_are_relative() -> None:
    code = "from hextune.v1 import jobs_pb2 as x\nimport grpc\n"
    assert relative_imports(code) == "from . import jobs_pb2 as x\nimport grpc\n"


def test_the_generated_code_does_not_import_the_launcher() -> None:
    code = (
        "import sys; from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2_grpc;"
        "print('hextune' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_message_field_method_and_value_is_documented() -> None:
    undocumented = []
    for path in PROTOS.rglob("*.proto"):
        before = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.strip()
            declares = text.startswith(("message ", "enum ", "service ", "rpc ")) or (
                text.endswith(";") and "=" in text and not text.startswith("syntax")
            )
            if declares and not before.startswith("//"):
                undocumented.append(f"{path.name}: {text}")
            before = text
    assert undocumented == []
