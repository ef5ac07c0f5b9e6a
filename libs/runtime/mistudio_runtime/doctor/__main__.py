"""python -m mistudio_runtime.doctor: how this machine is."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from google.protobuf.json_format import MessageToJson

from mistudio import v1
from mistudio_runtime.doctor.machine import check_machine
from mistudio_runtime.findings import Finding
from mistudio_runtime.version import version


def main() -> None:
    """Prints what was found: as a CheckMeshResponse in JSON, or a line each."""
    parser = argparse.ArgumentParser("python -m mistudio_runtime.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    arguments = parser.parse_args()
    findings = asyncio.run(check_machine())
    sys.stdout.write(_document(findings) if arguments.json else "".join(map(_line, findings)))


def _document(findings: Sequence[Finding]) -> str:
    answer = v1.CheckMeshResponse(findings=findings, gateway_version=version())
    return MessageToJson(answer, preserving_proto_field_name=True) + "\n"


def _line(finding: Finding) -> str:
    severity = v1.Severity.Name(finding.severity).removeprefix("SEVERITY_")
    command = f"\n    {finding.command}" if finding.command else ""
    return f"{severity:<8} {finding.check}: {finding.message}{command}\n"


if __name__ == "__main__":
    main()
