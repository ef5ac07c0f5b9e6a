"""Artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, table
from mistudio.cli.render.units import ago, size

_TELLING = {
    v1.ARTIFACT_KIND_DATASET: ("source", "rows"),
    v1.ARTIFACT_KIND_MODEL: ("name", "n_layers", "d_model"),
    v1.ARTIFACT_KIND_TOKENS: ("tokens", "context_length"),
    v1.ARTIFACT_KIND_SAE: ("architecture", "d_sae", "hook_point", "metrics.l0", "metrics.explained_variance"),
    v1.ARTIFACT_KIND_FEATURES: ("latents", "alive"),
    v1.ARTIFACT_KIND_JOB_ARCHIVE: ("jobs", "first_end", "last_end"),
}
"""What of a summary is worth a place in a list."""


def kind_name(kind: v1.ArtifactKind.ValueType) -> str:
    """Returns a kind's short name, e.g. "sae"."""
    return v1.ArtifactKind.Name(kind).removeprefix("ARTIFACT_KIND_").lower()


def flatten(values: dict[str, Any], before: str = "") -> dict[str, str]:
    """Returns names with values, nested ones with dots: {"metrics": {"l0": 32.0}} gives {"metrics.l0": "32"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{before}{name}.")
        elif isinstance(value, float):
            flat[before + name] = str(int(value)) if value.is_integer() else f"{value:.4g}"
        else:
            flat[before + name] = "; ".join(map(_item, value)) if isinstance(value, list) else str(value)
    return flat


def _item(value: Any) -> str:
    return (
        ", ".join(f"{name}={text}" for name, text in flatten(value).items()) if isinstance(value, dict) else str(value)
    )


def render_artifacts(artifacts: Sequence[v1.Artifact]) -> RenderableType:
    """Returns a table of artifacts."""
    if not artifacts:
        return Text("no artifacts", style="dim")
    made = table("#artifact", "name", ">size", "#made", "what")
    for artifact in artifacts:
        made.add_row(
            artifact.id,
            Text(artifact.display_name),
            size(artifact.bytes),
            Text(ago(artifact.create_time), style="dim"),
            Text(_short(artifact), style="dim"),
        )
    return made


def render_artifact(answer: v1.GetArtifactResponse) -> RenderableType:
    """Returns everything about one artifact."""
    artifact = answer.artifact
    grid = pairs()
    grid.add_row("artifact", Text.assemble((artifact.id, "bold"), "  ", kind_name(artifact.kind)))
    facts = {
        "name": artifact.display_name,
        "description": artifact.description,
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(artifact.labels.items())),
        "lies in": artifact.uri,
        "size": f"{size(artifact.bytes)} in {len(artifact.files)} files",
        "made": f"{ago(artifact.create_time)} by {artifact.job_id}",
        "from": ", ".join(artifact.parent_ids),
        "made of it": ", ".join(answer.child_ids),
    }
    for name, value in facts.items():
        if value:
            grid.add_row(name, Text(value))
    return Group(
        grid, *_section("measured", artifact.summary), *_section("parameters", artifact.parameters), *_files(artifact)
    )


def _short(artifact: v1.Artifact) -> str:
    flat = flatten(MessageToDict(artifact.summary))
    names = _TELLING.get(artifact.kind, ())
    return "  ".join(f"{name.rpartition('.')[2].replace('_', ' ')} {flat[name]}" for name in names if name in flat)


def _section(title: str, values: Any) -> list[RenderableType]:
    flat = flatten(MessageToDict(values))
    if not flat:
        return []
    grid = pairs()
    for name, value in flat.items():
        grid.add_row(f"  {name}", Text(value))
    return [Text(title, style="bold"), grid]


def _files(artifact: v1.Artifact) -> list[RenderableType]:
    if not artifact.files:
        return []
    made = table("#file", ">size", "#sha256")
    for file in artifact.files:
        made.add_row(Text(file.path), size(file.bytes), Text(file.sha256[:16], style="dim"))
    return [made]
