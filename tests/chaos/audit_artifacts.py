"""Audits the artifact store: whole, once, and of a job that says so."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path

from chaos.audit_jobs import SUCCEEDED
from chaos.findings import Findings
from mistudio import v1
from mistudio_runtime.artifacts.manifest import MANIFEST_NAME, ArtifactManifest, FileEntry


def audit_artifacts(root: Path, jobs: Mapping[str, v1.Job], findings: Findings) -> None:
    """Checks every folder of the store, and every artifact that a job names."""
    folders = [folder for folder in root.iterdir() if not folder.name.startswith(".")]
    found = {folder.name: manifest for folder in folders if (manifest := _read(folder, findings))}
    for job in jobs.values():
        if missing := [artifact for artifact in job.artifact_ids if artifact not in found]:
            findings.half_artifacts.append(f"{job.id} names {missing}, which is not there")
    made = collections.Counter(manifest.job_id for manifest in found.values() if manifest.job_id in jobs)
    findings.half_artifacts += [f"{job_id} has made {count} artifacts" for job_id, count in made.items() if count > 1]
    for manifest in found.values():
        job = jobs.get(manifest.job_id)
        if job is not None and job.state != SUCCEEDED:
            state = v1.JobState.Name(job.state).removeprefix("JOB_STATE_")
            findings.notes.append(f"{manifest.id} was committed before {job.id} became {state}")


def _read(folder: Path, findings: Findings) -> ArtifactManifest | None:
    try:
        manifest = ArtifactManifest.from_json((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError) as error:
        findings.half_artifacts.append(f"{folder.name} has no manifest that can be read: {type(error).__name__}")
        return None
    there = {file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST_NAME}
    if {FileEntry.of(folder, file) for file in there} != set(manifest.files):
        findings.half_artifacts.append(f"{folder.name} is not what its manifest says")
    return manifest
