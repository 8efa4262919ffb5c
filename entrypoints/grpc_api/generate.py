"""Writes the Python code of the protos: `python -m entrypoints.grpc_api.generate`.

protoc imports by the proto's own path, `hextune.v1`, which in Python is the launcher package; the
imports are made relative, so that the generated packages work wherever this package stands.
"""

import re
from importlib import resources
from pathlib import Path

HERE = Path(__file__).parent
PROTOS = HERE / "proto"
GENERATED = HERE / "generated"


def generate(target: Path = GENERATED) -> list[Path]:
    """The files written under `target`: messages, their types, and service classes.

    Raises ValueError where protoc refuses a proto; it has said why on stderr.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    protos = sorted(path.relative_to(PROTOS) for path in PROTOS.rglob("*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={resources.files('grpc_tools') / '_proto'}",
            f"--python_out={target}",
            f"--pyi_out={target}",
            f"--grpc_python_out={target}",
            *map(str, protos),
        ]
    )
    if status != 0:
        raise ValueError(f"protoc ended with status {status}")
    written = sorted(path for path in target.rglob("*_pb2*") if path.suffix in (".py", ".pyi"))
    for path in written:
        path.write_text(relative_imports(path.read_text(encoding="utf-8")), encoding="utf-8")
    return written


def relative_imports(code: str) -> str:
    """`code` with `from hextune.v1 import x` made `from . import x`."""
    return re.sub(r"^from hextune\.v1 import", "from . import", code, flags=re.MULTILINE)


if __name__ == "__main__":
    for file in generate():
        print(file.relative_to(HERE))
