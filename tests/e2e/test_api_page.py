"""Every command of docs/api.md, run in a sensible order against a real mesh; and every error that it promises."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

import mistudio
from mistudio import v1
from mistudio_runtime.errors import MeshError
from mistudio_runtime.serving.status import DETAILS_KEY
from support.api_page import ADDRESS, PAGE, buf_commands, documents, examples, public_methods
from support.mesh import Mesh

pytestmark = pytest.mark.timeout(600)
CHAIN_SECONDS = 400
SECONDS = 120
"""For one command."""
BUF = Path(sysconfig.get_path("scripts")) / "buf"
PLACEHOLDER = re.compile(r"(job|dataset|model|tokens|sae|features|curator)[-@]…")
SPARE, STAYS = "curator@spare", "all@1"
ON_A_QUEUED_JOB = ("PauseJob", "ResumeJob", "CancelJob", "RetryJob")
LAST = ("WorkerService/ResizeWorker", "WorkerService/DrainWorker", "CatalogService/DeleteArtifact")
"""What leaves less than there was, in this order."""
STATES = {
    "PauseJob": v1.JOB_STATE_PAUSED,
    "ResumeJob": v1.JOB_STATE_QUEUED,
    "CancelJob": v1.JOB_STATE_CANCELLED,
    "RetryJob": v1.JOB_STATE_QUEUED,
}


class Caller:
    """Types commands of the page at a mesh, with real ids in place of shortened ones."""

    def __init__(self, mesh: Mesh) -> None:
        self.address = mesh.address
        self.ids = {"curator": SPARE}
        """What "sae-…" and so on stand for, by their first word."""
        self.left = buf_commands()
        """The commands that nobody has typed yet."""

    def type(self, rpc: str, **ids: str) -> subprocess.CompletedProcess[str]:
        """Runs the command of an rpc, "Service/Rpc"."""
        command = self.left.pop(rpc if rpc.startswith("grpc.") else f"mistudio.v1.{rpc}")
        words = [self.fill(word, **ids).replace(ADDRESS, self.address) for word in command.words[1:]]
        return subprocess.run([BUF, *words], capture_output=True, text=True, timeout=SECONDS, check=False)

    def answers(self, rpc: str, **ids: str) -> list[Any]:
        """Runs the command of an rpc and returns its answers as messages."""
        done = self.type(rpc, **ids)
        assert done.returncode == 0, f"{rpc}: {done.stderr}"
        kind = GetMessageClass(public_methods()[f"mistudio.v1.{rpc}"].output_type)
        found = [Parse(document, kind()) for document in documents(done.stdout)]
        assert found, rpc
        return found

    def answer(self, rpc: str, **ids: str) -> Any:
        """Runs the command of an rpc that gives one answer."""
        [message] = self.answers(rpc, **ids)
        assert message != type(message)(), f"{rpc} answers nothing"
        return message

    def fill(self, text: str, **ids: str) -> str:
        """Puts real ids into a text."""
        return PLACEHOLDER.sub(lambda found: (self.ids | ids)[found[1]], text)


@pytest.fixture(scope="module")
def caller(workshop_mesh: Mesh) -> Caller:
    """A caller that has made a chain of artifacts and a throw-away dataset, by the page's own commands."""
    caller = Caller(workshop_mesh)
    chain = caller.answer("JobService/SubmitPipeline")
    submitted = caller.answer("JobService/SubmitJob")
    assert _timeless(submitted) == _timeless(_printed())
    spare = submitted.job.id
    with mistudio.Client(workshop_mesh.address) as client:
        made = {job.step: client.jobs.get(job.id).result(timeout=CHAIN_SECONDS)[0] for job in chain.jobs}
        client.jobs.get(spare).result(timeout=CHAIN_SECONDS)
    caller.ids |= made | {"job": next(job.id for job in chain.jobs if job.step == "sae"), "spare": spare}
    return caller


def _printed() -> v1.SubmitJobResponse:
    """Returns what the page says that its SubmitJob prints."""
    [(_, text)] = [fence for fence in PAGE.fences if fence[0] == "json"]
    return Parse(text, v1.SubmitJobResponse())


def _timeless(answer: v1.SubmitJobResponse) -> v1.SubmitJobResponse:
    for name in ("create_time", "update_time"):
        answer.job.ClearField(name)
    return answer


@contextmanager
def two_trainings(caller: Caller) -> Iterator[tuple[str, str]]:
    """Yields the ids of a training job that runs, and of one that waits behind it."""
    spec = mistudio.TrainSae(
        model=mistudio.ref(caller.ids["model"]),
        tokens=mistudio.ref(caller.ids["tokens"]),
        hook_points=["layer.1.resid_post"],
        saes=[mistudio.SaeSpec(d_sae=64, k=4)],
        total_tokens=1_000_000_000,
    )
    with mistudio.Client(caller.address) as client:
        running = client.jobs.submit(spec)
        for _ in running.watch(timeout=SECONDS):
            if running.state is mistudio.JobState.RUNNING:
                break
        queued = client.jobs.submit(spec)
        try:
            yield running.id, queued.id
        finally:
            for job in (queued, running):
                with suppress(mistudio.FailedPreconditionError):
                    job.cancel()


def test_every_command_of_the_page_works(caller: Caller) -> None:
    assert "SERVING" in caller.type("grpc.health.v1.Health/Check").stdout
    with two_trainings(caller) as (running_id, job_id):
        assert job_id in {job.id for job in caller.answer("JobService/ListJobs").jobs}
        for name in ON_A_QUEUED_JOB:
            assert caller.answer(f"JobService/{name}", job=job_id).job.state == STATES[name]
        assert caller.answer("JobService/FinishJob", job=running_id).job.finish_requested
        with mistudio.Client(caller.address) as client:
            assert client.jobs.get(running_id).result(timeout=SECONDS), "what it had is kept"
    with mistudio.Client(caller.address) as client, pytest.raises(mistudio.JobCancelledError):
        client.jobs.get(job_id).result(timeout=SECONDS)
    assert caller.answer("JobService/DeleteJobs", job=job_id).deleted == 1
    last_event = caller.answers("JobService/WatchJob")[-1].event
    assert last_event.job.state == v1.JOB_STATE_SUCCEEDED
    for rpc, row in examples().items():
        name = rpc.removeprefix("mistudio.v1.")
        if row.get("not_built"):
            done = caller.type(name)
            assert done.returncode == _exit_code(grpc.StatusCode.UNIMPLEMENTED), f"{rpc} is built: say so on the page"
        elif rpc in caller.left and name not in LAST:
            caller.answer(name)
    with mistudio.Client(caller.address) as client:
        spare = client.jobs.get(caller.ids["spare"]).artifact_ids[0]
    for name in LAST:
        caller.answer(name, dataset=spare)
    assert not caller.left


def test_the_gateway_lists_what_the_page_has(workshop_mesh: Mesh) -> None:
    [line] = [line for line in PAGE.typed() if "--list-methods" in line]
    words = shlex.split(line.replace(ADDRESS, workshop_mesh.address))[1:]
    listed = subprocess.run([BUF, *words], capture_output=True, text=True, timeout=SECONDS, check=True).stdout.split()
    assert public_methods().keys() <= set(listed)


def _exit_code(status: grpc.StatusCode) -> int:
    number: int = status.value[0]
    return number << 3  # as buf does


def _promises() -> list[Any]:
    rows = [(rpc, error) for rpc, row in examples().items() for error in row["errors"] if "request" in error]
    return [
        pytest.param(rpc, error, id=f"{rpc.removeprefix('mistudio.v1.')}-{error['code']}-{number}")
        for number, (rpc, error) in enumerate(rows)
    ]


@pytest.mark.parametrize(("rpc", "error"), _promises())
def test_every_error_of_the_page_is_answered_so(caller: Caller, rpc: str, error: Mapping[str, str]) -> None:
    method = public_methods()[rpc]
    request: Message = Parse(caller.fill(error["request"], curator=STAYS), GetMessageClass(method.input_type)())
    with grpc.insecure_channel(caller.address) as channel, pytest.raises(grpc.RpcError) as caught:
        _call(channel, rpc, streams=method.server_streaming)(request)
    failure: Any = caught.value
    assert failure.code().name == error["code"]
    assert failure.details()
    status = status_pb2.Status.FromString(dict(failure.trailing_metadata())[DETAILS_KEY])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (_reason(error["code"]), "mistudio")


def _call(channel: grpc.Channel, rpc: str, *, streams: bool) -> Callable[[Message], object]:
    if streams:
        stream: Any = channel.unary_stream(f"/{rpc}", lambda message: message.SerializeToString())
        return lambda request: list(stream(request, timeout=SECONDS))
    unary: Any = channel.unary_unary(f"/{rpc}", lambda message: message.SerializeToString())
    return lambda request: unary(request, timeout=SECONDS)


def _reason(status: str) -> str:
    return next(error.reason for error in MeshError.__subclasses__() if error.status.name == status)


def test_the_code_of_the_page_prints_what_it_says(workshop_mesh: Mesh) -> None:
    [(_, code)] = [fence for fence in PAGE.fences if fence[0] == "python"]
    [(_, printed)] = [fence for fence in PAGE.fences if fence[0] == "text"]
    code = code.replace(ADDRESS, workshop_mesh.address)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (printed.strip(), "")
