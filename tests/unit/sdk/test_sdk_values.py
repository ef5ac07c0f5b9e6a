"""Specs, references, pipelines and states: pure conversions of the SDK."""

from __future__ import annotations

import pytest

import mistudio
from mistudio import v1
from mistudio.pipelines import steps_of
from mistudio.specs import KINDS, job_request, job_spec, kind_of
from mistudio.states import JobState


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_wrapped_even_when_empty(kind: str) -> None:
    spec = type(getattr(v1.JobSpec(), kind))()
    assert job_spec(spec).WhichOneof("kind") == kind
    assert kind_of(spec) == kind
    assert kind_of(job_spec(spec)) == kind
    assert hasattr(mistudio, type(spec).__name__), "a spec that users write is re-exported"


def test_what_is_no_spec_is_refused_with_the_choice() -> None:
    with pytest.raises(TypeError, match=r"Progress is no job spec; take one of .*train_sae"):
        job_request(v1.Progress())


def test_a_whole_request_is_added_to() -> None:
    given = v1.JobRequest(spec=job_spec(v1.TrainSae()), display_name="mine", labels={"a": "b"}, depends_on=["job-1"])
    made = job_request(given, priority=9, labels={"c": "d"}, depends_on=["job-2"])
    assert (made.display_name, made.priority) == ("mine", 9)
    assert made.labels == {"a": "b", "c": "d"}
    assert made.depends_on == ["job-1", "job-2"]
    assert given.labels == {"a": "b"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("sae-gc37wmeyk7gefhbk-0", v1.ArtifactRef(artifact_id="sae-gc37wmeyk7gefhbk-0")),
        ("job-gc37wmeyk7gefhbk", v1.ArtifactRef(job_id="job-gc37wmeyk7gefhbk")),
        (v1.Job(id="job-1"), v1.ArtifactRef(job_id="job-1")),
        (v1.Artifact(id="tokens-gc37wmeyk7gefhbk-0"), v1.ArtifactRef(artifact_id="tokens-gc37wmeyk7gefhbk-0")),
        ("sae", v1.ArtifactRef(step="sae")),
        ("sae-wide", v1.ArtifactRef(step="sae-wide")),
    ],
)
def test_references(target: str | v1.Job | v1.Artifact, expected: v1.ArtifactRef) -> None:
    assert mistudio.ref(target) == expected


def test_references_to_another_output() -> None:
    assert mistudio.ref("job-1", output=2).output_index == 2
    assert mistudio.ref("sweep", output=1) == v1.ArtifactRef(step="sweep", output_index=1)


def test_a_step_s_name_is_its_own() -> None:
    pipeline = mistudio.Pipeline()
    pipeline.add("a", v1.CollectGarbage())
    with pytest.raises(ValueError, match="has a step 'a' already"):
        pipeline.add("a", v1.CollectGarbage())


def test_pipelines_from_a_dictionary_keep_their_order() -> None:
    steps = steps_of({"b": v1.CollectGarbage(), "a": v1.JobRequest(display_name="x")})
    assert [step.name for step in steps] == ["b", "a"]
    assert steps[1].job.display_name == "x"


def test_states_mirror_the_wire() -> None:
    assert {f"JOB_STATE_{state}" for state in JobState} == set(v1.JobState.keys())
    for state in JobState:
        assert JobState.of(v1.Job(state=state.to_proto())) is state


def test_a_state_that_is_not_known_yet_is_unspecified() -> None:
    assert JobState.of(v1.Job(state=99)) is JobState.UNSPECIFIED  # type: ignore[arg-type]  # a newer mesh may send it
    assert not JobState.UNSPECIFIED.is_over


def test_all_names_are_there() -> None:
    assert mistudio.__all__ == sorted(mistudio.__all__, key=lambda name: (name[0].islower(), name))
    assert all(hasattr(mistudio, name) for name in mistudio.__all__)
