"""One table of requests that nobody means to send: what each is answered, and which fields are named.

What may be asked of a job in each state is in test_job_control.py, and what has more to it than one call in
test_bad_input.py.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from mistudio import v1
from mistudio_gateway import job_ids
from mistudio_gateway.forwarding import FORWARDED
from mistudio_runtime.serving.server import MAX_MESSAGE_BYTES
from support.broker import NatsServer
from support.mesh import MODEL, TOKENS, Mesh, count_job, quick_job
from support.rpc_methods import Answer, call, method_named, public_methods

OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND, REFUSED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION
LONG = "n" * 10_000
ODD_NAMES = ("../x", "/etc/passwd", "a\0b", "a\r\nb", "*", ">", ".", "a.b", "a b", " ", "é", "$KV.x", LONG)
ABSURD = (Duration(), Duration(seconds=-1), Duration(seconds=2**62), Duration(nanos=-1), Duration(seconds=1, nanos=-1))
DONE, WAITS = job_ids.job_id("cancelled"), job_ids.job_id("queued")
STANDING = [DONE, WAITS]
WORKER = "toy@1"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A channel to a gateway with a worker of one queue, one cancelled and one queued job."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server, asyncio.Runner() as runner:
        mesh = Mesh(tmp_path_factory.mktemp("mesh") / "home", server.url)
        try:
            runner.run(_begin(mesh))
            with grpc.insecure_channel(mesh.address, options=[("grpc.max_send_message_length", -1)]) as channel:
                yield channel
        finally:
            runner.run(mesh.__aexit__())


async def _begin(mesh: Mesh) -> None:
    await mesh.gateway()
    await mesh.toy(WORKER, "--queues", "low_priority")
    await mesh.submit(count_job(), "cancelled")
    await mesh.control("Cancel", DONE)
    await mesh.submit(count_job(), "queued")


def ask(channel: grpc.Channel, rpc: str, request: Message) -> Answer:
    return call(channel, method_named(rpc), [request.SerializeToString()], 10)


def answered(answer: Answer) -> tuple[grpc.StatusCode, tuple[str, ...]]:
    return answer.status, answer.fields


def submit(spec: Message | None = None, **fields: Any) -> v1.SubmitJobRequest:
    request = quick_job(**fields) if spec is None else v1.JobRequest(spec=spec, **fields)
    return v1.SubmitJobRequest(job=request)


def training(**fields: Any) -> v1.SubmitJobRequest:
    spec = v1.JobSpec()
    spec.CopyFrom(count_job(what="layer.0.resid_post").spec)
    for name, value in fields.items():
        spec.train_sae.ClearField(name)
        spec.MergeFrom(v1.JobSpec(train_sae=v1.TrainSae(**{name: value})))
    return submit(spec)


def one_sae(**fields: Any) -> v1.SubmitJobRequest:
    return training(saes=[v1.SaeSpec(**({"d_sae": 8, "k": 2} | fields))])


def pipeline(**needs: str) -> v1.SubmitPipelineRequest:
    """Returns a pipeline whose steps each extract features of the SAE of another step, or train one."""
    steps = []
    for name, needed in needs.items():
        sae = v1.ArtifactRef(step=needed)
        spec = v1.JobSpec(extract_features=v1.ExtractFeatures(sae=sae)) if needed else count_job(what="count").spec
        steps.append(v1.PipelineStep(name=name, job=v1.JobRequest(spec=spec)))
    return v1.SubmitPipelineRequest(steps=steps)


SPEC = "job.spec"
TABLE: dict[str, tuple[str, Message, str]] = {
    "no job": ("SubmitJob", v1.SubmitJobRequest(), SPEC),
    "no kind": ("SubmitJob", submit(v1.JobSpec()), SPEC),
    "priority": ("SubmitJob", submit(priority=11), "job.priority"),
    "absurd priority": ("SubmitJob", submit(priority=2**32 - 1), "job.priority"),
    "attempts": ("SubmitJob", submit(max_attempts=2**32 - 1), "job.max_attempts"),
    "long name": ("SubmitJob", submit(display_name=LONG), "job.display_name"),
    "label without a key": ("SubmitJob", submit(labels={"": "x"}), "job.labels['']"),
    "long label": ("SubmitJob", submit(labels={"a": LONG}), "job.labels['a']"),
    "many labels": ("SubmitJob", submit(labels={str(n): "" for n in range(65)}), "job.labels"),
    "long request_id": ("SubmitJob", v1.SubmitJobRequest(job=quick_job(), request_id=LONG), "request_id"),
    "parent that ended badly": ("SubmitJob", submit(depends_on=[DONE]), "job.depends_on[0]"),
    "input of a job that ended badly": (
        "SubmitJob",
        training(model=v1.ArtifactRef(job_id=DONE)),
        f"{SPEC}.train_sae.model",
    ),
    "input of another kind": (
        "SubmitJob",
        training(model=v1.ArtifactRef(artifact_id=TOKENS)),
        f"{SPEC}.train_sae.model",
    ),
    "step outside of a pipeline": ("SubmitJob", training(model=v1.ArtifactRef(step="x")), f"{SPEC}.train_sae.model"),
    "unknown architecture": ("SubmitJob", one_sae(architecture=99), f"{SPEC}.train_sae.saes[0].architecture"),
    "absurd d_sae": ("SubmitJob", one_sae(d_sae=2**32 - 1), f"{SPEC}.train_sae.saes[0].d_sae"),
    "absurd k": ("SubmitJob", one_sae(k=2**32 - 1), f"{SPEC}.train_sae.saes[0].k"),
    "rate that is no number": ("SubmitJob", training(learning_rate=math.nan), f"{SPEC}.train_sae.learning_rate"),
    "negative rate": ("SubmitJob", training(learning_rate=-1.0), f"{SPEC}.train_sae.learning_rate"),
    "no tokens": ("SubmitJob", training(total_tokens=0), f"{SPEC}.train_sae.total_tokens"),
    "absurd layer": ("SubmitJob", training(hook_points=["layer.9999.mlp_in"]), f"{SPEC}.train_sae.hook_points[0]"),
    "unknown format": (
        "SubmitJob",
        submit(v1.JobSpec(export_sae=v1.ExportSae(format=99))),  # type: ignore[arg-type]
        f"{SPEC}.export_sae.sae {SPEC}.export_sae.local_path {SPEC}.export_sae.format",
    ),
    "no requests": ("SubmitJobs", v1.SubmitJobsRequest(), "requests"),
    "1,001 requests": ("SubmitJobs", v1.SubmitJobsRequest(requests=[submit()] * 1_001), "requests"),
    "one bad request of two": (
        "SubmitJobs",
        v1.SubmitJobsRequest(requests=[submit(), submit(priority=11)]),
        "requests[1].job.priority",
    ),
    "long request_id of many": (
        "SubmitJobs",
        v1.SubmitJobsRequest(requests=[v1.SubmitJobRequest(job=quick_job(), request_id=LONG)]),
        "requests[0].request_id",
    ),
    "one request_id twice": (
        "SubmitJobs",
        v1.SubmitJobsRequest(requests=[v1.SubmitJobRequest(job=quick_job(), request_id="r")] * 2),
        "requests",
    ),
    "only validated, of many": (
        "SubmitJobs",
        v1.SubmitJobsRequest(requests=[v1.SubmitJobRequest(job=quick_job(), validate_only=True)]),
        "requests[0].validate_only",
    ),
    "no steps": ("SubmitPipeline", v1.SubmitPipelineRequest(), "steps"),
    "1,001 steps": (
        "SubmitPipeline",
        v1.SubmitPipelineRequest(steps=[v1.PipelineStep(name=f"s{n}", job=quick_job()) for n in range(1_001)]),
        "steps",
    ),
    "one step twice": (
        "SubmitPipeline",
        v1.SubmitPipelineRequest(steps=[v1.PipelineStep(name="a", job=quick_job())] * 2),
        "steps[1].name",
    ),
    "step that needs itself": ("SubmitPipeline", pipeline(a="a"), "steps[0].job.spec.extract_features.sae"),
    "cycle": (
        "SubmitPipeline",
        pipeline(a="b", b="a"),
        "steps[0].job.spec.extract_features.sae steps[1].job.spec.extract_features.sae",
    ),
    "step that is missing": ("SubmitPipeline", pipeline(a="b"), "steps[0].job.spec.extract_features.sae"),
    "long request_id of a pipeline": (
        "SubmitPipeline",
        v1.SubmitPipelineRequest(steps=[v1.PipelineStep(name="a", job=quick_job())], request_id=LONG),
        "request_id",
    ),
    "negative page": ("ListJobs", v1.ListJobsRequest(page_size=-1), "page_size"),
    "token that nests": ("ListJobs", v1.ListJobsRequest(page_token="W1tb" * 100_000), "page_token"),
    "events that are none": ("WatchJob", v1.WatchJobRequest(job_id=WAITS, events=["*", LONG]), "events"),
    "another kind at a retry": ("RetryJob", v1.RetryJobRequest(job_id=DONE, spec=quick_job().spec), "spec"),
    "negative time at a retry": (
        "RetryJob",
        v1.RetryJobRequest(job_id=DONE, timeout=Duration(seconds=-1)),
        "timeout",
    ),
    "no jobs to delete": ("DeleteJobs", v1.DeleteJobsRequest(), "job_ids"),
    "1,001 jobs to delete": ("DeleteJobs", v1.DeleteJobsRequest(job_ids=[DONE] * 1_001), "job_ids"),
    "long reason": ("PauseQueue", v1.PauseQueueRequest(queue="training", reason=LONG), "reason"),
    "absurd priority of a route": ("ExplainRoute", v1.ExplainRouteRequest(kind="train_sae", priority=11), "priority"),
    "no slots": ("ResizeWorker", v1.ResizeWorkerRequest(worker=WORKER, queue="low_priority"), "slots"),
    "absurd slots": (
        "ResizeWorker",
        v1.ResizeWorkerRequest(worker=WORKER, queue="low_priority", slots=2**32 - 1),
        "slots",
    ),
    "queue of another worker": (
        "ResizeWorker",
        v1.ResizeWorkerRequest(worker=WORKER, queue="training", slots=1),
        "queue",
    ),
    "long name of an artifact": (
        "UpdateArtifact",
        v1.UpdateArtifactRequest(artifact_id=MODEL, display_name=LONG),
        "display_name",
    ),
    "long description": (
        "UpdateArtifact",
        v1.UpdateArtifactRequest(artifact_id=MODEL, description=LONG * 2),
        "description",
    ),
    "long request_id of a change": (
        "UpdateArtifact",
        v1.UpdateArtifactRequest(artifact_id=MODEL, request_id=LONG),
        "request_id",
    ),
}
EMPTY = {
    "SubmitJob": INVALID,
    "SubmitJobs": INVALID,
    "SubmitPipeline": INVALID,
    "ListJobs": OK,
    "DeleteJobs": INVALID,
    "ListQueues": OK,
    "ExplainRoute": INVALID,
    "ListSchedules": OK,
    "ListWorkers": OK,
    "CheckMesh": OK,
    "UpdateArtifact": NOT_FOUND,
    "DeleteArtifact": NOT_FOUND,
    "UpdateFeature": NOT_FOUND,
    "Attach": REFUSED,
}
"""What an empty request is answered; of every other rpc it names something that there is not."""
READ_BY_WORKERS = {
    method.name
    for method in public_methods()
    if method.containing_service.name in FORWARDED and method.name not in EMPTY
}


@pytest.mark.parametrize("name", TABLE)
def test_the_bad_fields_are_named(gateway: grpc.Channel, name: str) -> None:
    rpc, request, fields = TABLE[name]
    assert answered(ask(gateway, rpc, request)) == (INVALID, tuple(fields.split(" ")))


@pytest.mark.parametrize("limit", ["timeout", "start_within"])
def test_times_that_are_none_are_refused(gateway: grpc.Channel, limit: str) -> None:
    for length in ABSURD:
        request = submit(**{limit: length})
        assert answered(ask(gateway, "SubmitJob", request)) == (INVALID, (f"job.{limit}",)), length


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_odd_names_are_those_of_nothing(gateway: grpc.Channel, name: str) -> None:
    asked = {
        "FinishJob": v1.FinishJobRequest(job_id=name),
        "PauseQueue": v1.PauseQueueRequest(queue=name),
        "ResumeQueue": v1.ResumeQueueRequest(queue=name),
        "PauseSchedule": v1.PauseScheduleRequest(schedule=name),
        "ResumeSchedule": v1.ResumeScheduleRequest(schedule=name),
        "RunSchedule": v1.RunScheduleRequest(schedule=name),
        "DrainWorker": v1.DrainWorkerRequest(worker=name),
        "ResizeWorker": v1.ResizeWorkerRequest(worker=name, queue="training", slots=1),
        "UpdateArtifact": v1.UpdateArtifactRequest(artifact_id=name),
        "DeleteArtifact": v1.DeleteArtifactRequest(artifact_id=name),
        "UpdateFeature": v1.UpdateFeatureRequest(artifact_id=name),
    }
    for rpc, request in asked.items():
        assert answered(ask(gateway, rpc, request)) == (NOT_FOUND, ()), rpc
    filters = v1.ListJobsRequest(pipeline_id=name, queues=[name], kinds=[name], labels={name: name})
    assert ask(gateway, "ListJobs", filters).status == OK


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_odd_names_in_fields_are_refused(gateway: grpc.Channel, name: str) -> None:
    ref = v1.ArtifactRef(artifact_id=name)
    local = v1.DownloadDataset(local=v1.LocalFiles(paths=[f"/nowhere/{name}"]))
    hub = v1.DownloadModel(hub=v1.HubRepository(name=f"../{name}"))
    step = v1.PipelineStep(name=name, job=quick_job())
    asked: list[tuple[str, Message, str]] = [
        ("SubmitJob", submit(depends_on=[name]), "job.depends_on[0]"),
        ("SubmitJob", training(model=ref), f"{SPEC}.train_sae.model"),
        ("SubmitJob", training(model=v1.ArtifactRef(job_id=name)), f"{SPEC}.train_sae.model"),
        ("SubmitJob", training(device=name), f"{SPEC}.train_sae.device"),
        ("SubmitJob", training(dtype=name), f"{SPEC}.train_sae.dtype"),
        ("SubmitJob", submit(v1.JobSpec(download_dataset=local)), f"{SPEC}.download_dataset.local.paths[0]"),
        ("SubmitJob", submit(v1.JobSpec(download_model=hub)), f"{SPEC}.download_model.hub.name"),
        ("SubmitPipeline", v1.SubmitPipelineRequest(steps=[step]), "steps[0].name"),
        ("ExplainRoute", v1.ExplainRouteRequest(kind=name), "kind"),
        ("ListJobs", v1.ListJobsRequest(page_token=name), "page_token"),
        ("ListJobs", v1.ListJobsRequest(order_by=f"x{name}"), "order_by"),
    ]
    for rpc, request, field in asked:
        assert answered(ask(gateway, rpc, request)) == (INVALID, (field,)), (rpc, field)


@pytest.mark.parametrize("rpc", sorted({method.name for method in public_methods()} - READ_BY_WORKERS))
def test_bytes_that_are_no_request(gateway: grpc.Channel, rpc: str) -> None:
    for garbage in (b"\xff" * 20, b"\x0a\x05ab"):
        assert answered(call(gateway, method_named(rpc), [garbage], 10)) == (INVALID, ("request",)), garbage
    assert call(gateway, method_named(rpc), [b""], 10).status == EMPTY.get(rpc, NOT_FOUND)


def test_a_text_that_is_none(gateway: grpc.Channel) -> None:
    assert answered(call(gateway, method_named("GetJob"), [b"\x0a\x01\xff"], 10)) == (INVALID, ("request",))


def test_a_message_that_is_too_large_to_be_read(gateway: grpc.Channel) -> None:
    request = v1.GetJobRequest(job_id="x" * MAX_MESSAGE_BYTES)
    assert ask(gateway, "GetJob", request).status == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_what_is_strange_but_harmless_is_taken(gateway: grpc.Channel) -> None:
    unknown = v1.GetJobRequest(job_id=DONE).SerializeToString() + b"\xfa\x3e\x03new"
    assert call(gateway, method_named("GetJob"), [unknown], 10).status == OK
    assert ask(gateway, "ListJobs", v1.ListJobsRequest(states=[99])).status == OK  # type: ignore[list-item]
    assert ask(gateway, "ListJobs", v1.ListJobsRequest(page_size=2**31 - 1)).status == OK
    odd = v1.SubmitJobRequest(job=quick_job(), request_id="../*>\r\n \0", validate_only=True)
    assert ask(gateway, "SubmitJob", odd).status == OK


def test_nothing_of_all_that_became_a_job(gateway: grpc.Channel) -> None:
    jobs = v1.JobServiceStub(gateway).ListJobs(v1.ListJobsRequest(), timeout=10).jobs
    assert {job.id for job in jobs} == set(STANDING)
