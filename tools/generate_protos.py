"""Generates sdk/mistudio/v1 from protos/: messages, gRPC stubs, type stubs, and the comments that are the CLI's help.

Run by `make proto` in an environment of its own (tools/proto-requirements.txt), because the pinned compiler is older
than the runtime: its output loads on every protobuf runtime from its own version on.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OUT = ROOT / "sdk"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def compile_protos(files: list[Path], *options: str) -> None:
    """Runs protoc on `files`; ends the process if it fails."""
    code = protoc.main(["protoc", f"-I{PROTOS}", f"-I{WELL_KNOWN}", *options, *map(str, files)])
    if code:
        sys.exit(code)


def comments_of(files: list[Path]) -> dict[str, str]:
    """Returns the leading comment of every message, field, enum value and rpc, by full name."""
    with tempfile.NamedTemporaryFile(suffix=".binpb") as out:
        compile_protos(files, "--include_source_info", f"--descriptor_set_out={out.name}")
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    found: dict[str, str] = {}
    for file in descriptors.file:
        for location in file.source_code_info.location:
            name = name_at(file, list(location.path))
            if name and location.leading_comments:
                found[f"{file.package}.{name}"] = " ".join(location.leading_comments.split())
    return dict(sorted(found.items()))


def name_at(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str:
    """Returns the dotted name of the declaration that a source path leads to, or ""."""
    names: list[str] = []
    node: object = file
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = node.DESCRIPTOR.fields_by_number[number].name  # type: ignore[attr-defined]
        if field not in {"message_type", "enum_type", "service", "field", "value", "method", "nested_type"}:
            return ""
        node = getattr(node, field)[index]
        names.append(node.name)  # type: ignore[attr-defined]
    return ".".join(names) if len(path) % 2 == 0 else ""


def main() -> None:
    """Generates everything."""
    files = sorted(PROTOS.glob("mistudio/v1/*.proto"))
    services = [file for file in files if file.name.endswith("_service.proto")]
    package = OUT / "mistudio" / "v1"
    for stale in [*package.glob("*_pb2*.py"), *package.glob("*_pb2*.pyi")]:
        stale.unlink()
    compile_protos(files, f"--python_out={OUT}", f"--mypy_out=quiet,readable_stubs:{OUT}")
    compile_protos(services, f"--grpc_python_out={OUT}", f"--mypy_grpc_out=quiet:{OUT}")
    (package / "comments.json").write_text(json.dumps(comments_of(files), indent=1) + "\n", encoding="utf-8")
    subprocess.run(["git", "-C", str(ROOT), "status", "--short", "--", str(package)], check=True)


if __name__ == "__main__":
    main()
