from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mistudio.v1 import ArtifactRef, ExportSae, ImportSae, SaeFormat
from mistudio_ingest import export_sae, import_sae
from mistudio_runtime.jobs import PermanentFailure
from mistudio_runtime.paths import PathNotAllowedError
from mistudio_sae.errors import SaeFormatError
from mistudio_sae.formats import SaeProvenance, load_saelens, load_sparsify, save_saelens
from mistudio_sae.saes import Architecture, SaeConfig, build_sae
from support.workshop import Workshop

D_IN, D_SAE = 16, 24


@pytest.fixture
def saelens_folder(data: Path) -> Path:
    sae = build_sae(SaeConfig(architecture="topk", d_in=D_IN, d_sae=D_SAE, k=4), torch.Generator().manual_seed(1))
    provenance = SaeProvenance("somewhere/gpt", "layer.1.resid_post", 64, prepend_bos=False, dataset="books")
    save_saelens(data / "foreign", sae, provenance, torch.linspace(-4, -1, D_SAE))
    return data / "foreign"


@pytest.fixture
def sparsify_folder(data: Path) -> Path:
    folder = data / "layers.1"
    folder.mkdir()
    config = {"activation": "topk", "num_latents": 0, "k": 4, "d_in": D_IN, "transcode": False}
    (folder / "cfg.json").write_text(json.dumps(config))
    generator = torch.Generator().manual_seed(2)
    tensors = {
        "encoder.weight": torch.randn(D_SAE, D_IN, generator=generator),
        "encoder.bias": torch.zeros(D_SAE),
        "W_dec": torch.randn(D_SAE, D_IN, generator=generator),
        "b_dec": torch.zeros(D_IN),
    }
    save_file(tensors, folder / "sae.safetensors")
    return folder


def bring(workshop: Workshop, folder: Path, **fields: object) -> str:
    return import_sae.run(ImportSae(local_path=str(folder), **fields), workshop.job("job-sae"))[0]


def test_an_sae_comes_in_and_goes_out_unchanged(
    workshop: Workshop, data: Path, saelens_folder: Path, model: str
) -> None:
    artifact_id = bring(workshop, saelens_folder, model=ArtifactRef(artifact_id=model))
    job = workshop.job("job-out")
    spec = ExportSae(sae=ArtifactRef(artifact_id=artifact_id), local_path=str(data / "deep" / "out"))

    assert export_sae.run(spec, job) == []
    assert export_sae.run(spec, job) == [], "a second delivery finds its own work"

    manifest = workshop.store.get(artifact_id)
    assert manifest.parents == (model,)
    assert manifest.summary == {
        "architecture": "topk",
        "d_in": D_IN,
        "d_sae": D_SAE,
        "k": 4,
        "hook_point": "layer.1.resid_post",
        "model_name": "tiny-gpt2",
        "imported": True,
    }
    before, after = load_saelens(saelens_folder), load_saelens(data / "deep" / "out")
    for name, tensor in before.sae.state_dict().items():
        assert torch.equal(tensor, after.sae.state_dict()[name])
    assert before.sparsity is not None
    assert after.sparsity is not None
    assert torch.equal(before.sparsity, after.sparsity)
    assert after.provenance.dataset == "books"
    assert sorted(file.name for file in (data / "deep").iterdir()) == ["out"]


def test_sparsify_saes_are_recognised(workshop: Workshop, sparsify_folder: Path) -> None:
    summary = workshop.store.get(bring(workshop, sparsify_folder)).summary

    assert (summary["d_in"], summary["d_sae"], summary["hook_point"]) == (D_IN, D_SAE, "layer.1.resid_post")


def test_a_hook_point_can_be_given(workshop: Workshop, sparsify_folder: Path) -> None:
    renamed = sparsify_folder.rename(sparsify_folder.with_name("my-sae"))

    artifact_id = bring(workshop, renamed, hook_point="layer.0.mlp_out", format=SaeFormat.SAE_FORMAT_SPARSIFY)

    assert workshop.store.get(artifact_id).summary["hook_point"] == "layer.0.mlp_out"


def test_an_sae_of_another_width_is_refused(workshop: Workshop, saelens_folder: Path) -> None:
    with workshop.store.draft("model", job_id="job-wide", attempt=1) as draft:
        draft.summary = {"name": "wide", "d_model": 32}
        wide = draft.commit()

    with pytest.raises(PermanentFailure, match="reads 16 numbers a token but wide has 32"):
        bring(workshop, saelens_folder, model=ArtifactRef(artifact_id=wide))


def test_damage_is_a_permanent_failure(workshop: Workshop, data: Path, saelens_folder: Path) -> None:
    (saelens_folder / "sae_weights.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"sae_weights\.safetensors is not a readable safetensors file") as caught:
        bring(workshop, saelens_folder)
    assert caught.value.failure_reason  # type: ignore[attr-defined]  # what makes it permanent
    with pytest.raises(PermanentFailure, match="holds no SAE"):
        bring(workshop, data)
    with pytest.raises(PermanentFailure, match="is no folder"):
        bring(workshop, data / "gone")
    assert not [*workshop.store.drafts.iterdir()]


def test_an_export_never_overwrites(workshop: Workshop, data: Path, saelens_folder: Path, tmp_path: Path) -> None:
    sae = ArtifactRef(artifact_id=bring(workshop, saelens_folder))
    job = workshop.job("job-out")
    (data / "full").mkdir()
    (data / "full" / "mine.txt").write_text("precious")
    (data / "file").write_text("precious")

    for name in ("full", "file"):
        with pytest.raises(PermanentFailure, match="is not empty; choose a new folder"):
            export_sae.run(ExportSae(sae=sae, local_path=str(data / name)), job)
    with pytest.raises(PathNotAllowedError):
        export_sae.run(ExportSae(sae=sae, local_path=str(tmp_path / "outside")), job)
    unknown = ExportSae(sae=sae, local_path=str(data / "new"), format=99)
    with pytest.raises(PermanentFailure, match="format 99 is unknown"):
        export_sae.run(unknown, job)
    with pytest.raises(PermanentFailure, match="cannot be written"):
        export_sae.run(ExportSae(sae=sae, local_path=str(data / "file" / "below")), job)
    assert (data / "full" / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("architecture", "hook_point", "folder"),
    [("topk", "layer.1.resid_post", "layers.1"), ("skip_transcoder", "layer.1.mlp_in", "layers.1.mlp")],
)
def test_an_sae_goes_out_as_sparsify_and_comes_back(
    workshop: Workshop, data: Path, architecture: Architecture, hook_point: str, folder: str
) -> None:
    sae = build_sae(SaeConfig(architecture, D_IN, D_SAE, k=4), torch.Generator().manual_seed(1))
    save_saelens(data / "foreign", sae, SaeProvenance("somewhere/gpt", hook_point))
    spec = ExportSae(
        sae=ArtifactRef(artifact_id=bring(workshop, data / "foreign")),
        local_path=str(data / "out"),
        format=SaeFormat.SAE_FORMAT_SPARSIFY,
    )

    export_sae.run(spec, workshop.job("job-out"))
    export_sae.run(spec, workshop.job("job-out"))

    assert sorted(file.relative_to(data / "out").as_posix() for file in (data / "out").rglob("*.*")) == sorted(
        [folder, f"{folder}/cfg.json", f"{folder}/sae.safetensors"]
    )
    back = load_sparsify(data / "out" / folder)
    x = torch.randn(20, D_IN, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(back.sae.encode(x), sae.encode(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(back.sae(x), sae(x), rtol=0, atol=1e-5)
    assert back.provenance.hook_point == hook_point
    (data / "out" / folder / "sae.safetensors").write_bytes(b"another")
    with pytest.raises(PermanentFailure, match="is not empty"):
        export_sae.run(spec, workshop.job("job-out"))


def test_what_sparsify_lacks_is_refused(workshop: Workshop, data: Path) -> None:
    sae = build_sae(SaeConfig("gated", D_IN, D_SAE), torch.Generator().manual_seed(1))
    save_saelens(data / "foreign", sae, SaeProvenance("somewhere/gpt", "layer.1.resid_post"))
    reference = ArtifactRef(artifact_id=bring(workshop, data / "foreign"))
    spec = ExportSae(sae=reference, local_path=str(data / "out"), format=SaeFormat.SAE_FORMAT_SPARSIFY)

    with pytest.raises(SaeFormatError, match="sparsify has no gated SAEs"):
        export_sae.run(spec, workshop.job("job-out"))
    assert not [file for file in data.iterdir() if "out" in file.name]


def test_an_empty_folder_is_filled(workshop: Workshop, data: Path, saelens_folder: Path) -> None:
    (data / "empty").mkdir()
    sae = ArtifactRef(artifact_id=bring(workshop, saelens_folder))

    export_sae.run(ExportSae(sae=sae, local_path=str(data / "empty")), workshop.job("job-out"))

    assert load_saelens(data / "empty").config.d_sae == D_SAE
