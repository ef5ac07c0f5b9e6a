"""A gateway and toy workers as real processes, for tests of the job plane."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio

from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from support.waiting import eventually

TESTS = Path(__file__).resolve().parent.parent
ACK_WAIT_SECONDS = 2.0
MODEL = "model-given-0"
TOKENS = "tokens-given-0"


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mesh:
    """One home, one broker, and the processes that a test starts."""

    def __init__(self, home: Path, nats_url: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        _put_inputs(home)
        self.address = f"127.0.0.1:{free_port()}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "MISTUDIO_HOME": str(home),
            "MISTUDIO_NATS_URL": nats_url,
            "MISTUDIO_LISTEN": self.address,
            "MISTUDIO_GATEWAY": self.address,
            "MISTUDIO_ACK_WAIT_SECONDS": str(ACK_WAIT_SECONDS),
            "MISTUDIO_STOP_GRACE_SECONDS": "2",
            "MISTUDIO_ALLOWED_ROOTS": f'["{home}"]',
            "MISTUDIO_SCHEDULES_FILE": str(_no_schedules(home)),
            "MISTUDIO_LOG_FORMAT": "json",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(TESTS),
        }
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()
        for process in reversed(self.processes):  # workers first: the gateway has to hear how their jobs ended
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def channel(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self.address,
                options=[("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)],
            )
        return self._channel

    @property
    def jobs(self) -> v1.JobServiceStub:
        return v1.JobServiceStub(self.channel)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts `python ARGS…` in the mesh's environment; its output goes to a file in the home."""
        log = (self.home / f"process-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, *command], env=self.environment | environment, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        self.processes.append(process)
        return process

    async def gateway(self) -> subprocess.Popen[bytes]:
        """Starts a gateway and waits until it answers."""
        process = self.start("-m", "mistudio_gateway")
        await eventually(self._answers, what="the gateway answers")
        return process

    async def toy(self, name: str = "toy@1", *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a toy worker and waits until it is attached."""
        process = self.start("-m", "support.toy", "--name", name, *arguments)
        await eventually(lambda: self.attached(name), what=f"{name} is attached")
        return process

    async def submit(self, request: v1.JobRequest, request_id: str = "") -> v1.Job:
        answer = await self.jobs.SubmitJob(v1.SubmitJobRequest(job=request, request_id=request_id), timeout=20)
        return answer.job

    async def get(self, job_id: str) -> v1.Job:
        return (await self.jobs.GetJob(v1.GetJobRequest(job_id=job_id), timeout=20)).job

    async def until(self, job_id: str, *states: v1.JobState.ValueType, within: float = 30.0) -> v1.Job:
        """Waits until the job is in one of the states."""

        async def there() -> v1.Job | None:
            try:
                job = await self.get(job_id)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                return None
            return job if job.state in states else None

        job = await eventually(there, within=within, what=f"{job_id} becomes {[v1.JobState.Name(s) for s in states]}")
        assert job is not None
        return job

    async def watch(self, job_id: str, after: int = 0) -> list[v1.JobEvent]:
        """Returns all events of a job up to its end."""
        call = self.jobs.WatchJob(v1.WatchJobRequest(job_id=job_id, after_sequence=after), timeout=60)
        return [response.event async for response in call]

    async def _answers(self) -> bool:
        try:
            await v1.QueueServiceStub(self.channel).ListQueues(v1.ListQueuesRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def control(self, verb: str, job_id: str) -> v1.Job:
        """Calls CancelJob, PauseJob, ResumeJob, FinishJob or RetryJob."""
        request = getattr(v1, f"{verb}JobRequest")(job_id=job_id)
        job: v1.Job = (await getattr(self.jobs, f"{verb}Job")(request, timeout=20)).job
        return job

    async def attached(self, name: str) -> bool:
        """Tells whether a worker of this name is attached."""
        answer = await v1.WorkerServiceStub(self.channel).ListWorkers(v1.ListWorkersRequest(), timeout=5)
        return any(status.worker.name == name for status in answer.workers)


def count_job(to: int = 5, what: str = "count", **fields: Any) -> v1.JobRequest:
    """Returns a request for the toy's train_sae: counts to `to`, in the manner that `what` names."""
    spec = v1.TrainSae(
        model=v1.ArtifactRef(artifact_id=MODEL),
        tokens=v1.ArtifactRef(artifact_id=TOKENS),
        hook_points=[what],
        saes=[v1.SaeSpec(d_sae=8, k=2)],
        total_tokens=to,
        batch_tokens=1,
    )
    return v1.JobRequest(spec=v1.JobSpec(train_sae=spec), **fields)


def quick_job(**fields: Any) -> v1.JobRequest:
    """Returns a request for the toy's collect_garbage, which ends at once."""
    return v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()), **fields)


def _no_schedules(home: Path) -> Path:
    table = home / "schedules.toml"
    table.write_text("[schedules]\n")
    return table


def _put_inputs(home: Path) -> None:
    store = ArtifactStore(home / "artifacts")
    for kind, summary in (("model", {"n_layers": 4, "context_length": 64}), ("tokens", {})):
        with store.draft(kind, job_id="job-given", attempt=1) as draft:
            draft.summary = dict(summary)
            draft.commit()
