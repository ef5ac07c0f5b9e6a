"""Job kind verify_artifacts: compares the files of artifacts with their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mistudio.v1 import VerifyArtifacts
from mistudio_curator.report import commit_report
from mistudio_runtime.artifacts import ArtifactManifest, FileEntry
from mistudio_runtime.artifacts.manifest import MANIFEST_NAME
from mistudio_runtime.errors import NotFoundError
from mistudio_runtime.jobs import JobContext, PermanentFailure


@dataclass(frozen=True)
class Finding:
    """One file that is not as its manifest says."""

    artifact_id: str
    path: str
    """Relative to the artifact's directory."""
    problem: str
    """"missing", "unreadable", "changed" or "unknown" (not in the manifest)."""


def run(spec: VerifyArtifacts, context: JobContext) -> list[str]:
    """Reads every file once and commits a report; damage is in the report and the log, and does not fail the job.

    Raises PermanentFailure if an artifact that the request names does not exist.
    """
    manifests = _manifests(spec, context)
    total, done = sum(manifest.bytes for manifest in manifests), 0
    findings: list[Finding] = []
    context.stages({"verify": 1})
    for manifest in manifests:
        for entry in manifest.files:
            context.raise_if_stopped()
            findings += _check(context.store.root / manifest.id, manifest.id, entry)
            done += entry.bytes
            context.progress("verify", done, total, "bytes")
        findings += _strangers(context.store.root / manifest.id, manifest)
    for finding in findings:
        context.log("error", f"{finding.artifact_id}: {finding.path} is {finding.problem}")
    context.log("info", f"{len(manifests)} artifacts with {total} bytes were read, {len(findings)} files are not right")
    damaged = sorted({finding.artifact_id for finding in findings})
    summary = {"artifacts": len(manifests), "bytes": total, "findings": len(findings), "damaged": damaged}
    return commit_report(context, spec, summary=summary, report={"findings": [asdict(f) for f in findings]})


def _manifests(spec: VerifyArtifacts, context: JobContext) -> list[ArtifactManifest]:
    if not spec.artifact_ids:
        return sorted(context.store.list(), key=lambda manifest: manifest.id)
    try:
        return [context.store.get(artifact_id) for artifact_id in dict.fromkeys(spec.artifact_ids)]
    except NotFoundError as error:
        raise PermanentFailure(error.message, reason=error.reason) from error


def _check(folder: Path, artifact_id: str, entry: FileEntry) -> Iterator[Finding]:
    try:
        if FileEntry.of(folder, folder / entry.path) != entry:
            yield Finding(artifact_id, entry.path, "changed")
    except FileNotFoundError:
        # An artifact that somebody deleted meanwhile is not damaged.
        if folder.exists():
            yield Finding(artifact_id, entry.path, "missing")
    except OSError:
        yield Finding(artifact_id, entry.path, "unreadable")


def _strangers(folder: Path, manifest: ArtifactManifest) -> Iterator[Finding]:
    known = {entry.path for entry in manifest.files} | {MANIFEST_NAME}
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if file.is_file() and path not in known:
            yield Finding(manifest.id, path, "unknown")
