# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Jobs and queues from Python
#
# What a shell with `task_routes`, `apply_async` and `result.state` was for: where a job goes, submitting it, following
# it, its result. It runs as a script and, cell by cell, as a notebook; offline, in a couple of minutes on two cores.
#
# Start a mesh first, and stop it afterwards:
#
#     mistudio up --detach
#     python examples/jobs_and_queues.py
#     mistudio down

# %%
import asyncio
from concurrent.futures import ThreadPoolExecutor

import mistudio

client = mistudio.Client()  # the gateway at $MISTUDIO_GATEWAY, else localhost:50051
for queue in client.queues.list():
    print(f"{queue.name:<14} priority {queue.priority:>2}, served by {', '.join(queue.workers) or 'nobody'}")

# %% [markdown]
# ## Where would a job go?
#
# A spec says what to do; its type is the job kind. The route follows from the kind: there is no queue to choose.

# %%
spec = mistudio.DownloadDataset(bundled="python-topics", max_rows=20)
route = client.queues.explain(spec)
print(f"queue {route.queue}, priority {route.priority}, taken by {', '.join(route.workers) or 'nobody now'}")
print(route.explanation)

# %% [markdown]
# ## Submit, follow, take the result

# %%
job = client.jobs.submit(spec)
print(job.id, job.state)

for event in job.watch():
    match event.WhichOneof("event"):
        case "progress":
            print(f"{event.progress.fraction:7.1%}  {event.progress.stage}")
        case "job" | "diagnosis":
            print(job.state, job.diagnosis)

[dataset] = job.result()
print(job.state, dataset)

# %%
for row in client.datasets.preview(dataset, rows=2).rows:
    print(row.index, row.text.partition("\n")[0])

# %% [markdown]
# ## A pipeline
#
# What `add` returns stands for a step's output. All jobs are submitted at once; each waits for those whose output it
# uses.

# %%
pipeline = mistudio.Pipeline()
model = pipeline.add("model", mistudio.DownloadModel(bundled="pydocs-gpt2-6l"))
tokens = pipeline.add("tokens", mistudio.TokenizeDataset(dataset=mistudio.ref(dataset), model=model, context_length=64))
training = mistudio.TrainSae(
    model=model,
    tokens=tokens,
    hook_points=["layer.1.resid_post"],
    saes=[mistudio.SaeSpec(d_sae=256, k=16)],
    total_tokens=32_768,  # enough to see it work; millions give readable features
    batch_tokens=512,
)
sae = pipeline.add("sae", training)
pipeline.add("features", mistudio.ExtractFeatures(sae=sae, max_tokens=8_192))

run = client.jobs.submit_pipeline(pipeline)
for name, step in run.jobs.items():
    print(f"{name:<9} {step.state:<8} {step.diagnosis}")

# %%
[features] = run.jobs["features"].result()
for name, step in run.jobs.items():
    print(f"{name:<9} {step.refresh().state:<9} {', '.join(step.artifact_ids)}")

# %% [markdown]
# ## Read what came out

# %%
[sae_id] = run.jobs["sae"].artifact_ids
metrics = client.artifacts.get(sae_id).artifact.summary["metrics"]
print(f"explained variance {metrics['explained_variance']:.3f} with {metrics['l0']:.1f} active latents a token")

losses = list(client.training.metrics(run.jobs["sae"].id, names=["loss"]))
print(f"loss {losses[0].value:.1f} at step {losses[0].step}, {losses[-1].value:.1f} at step {losses[-1].step}")

for feature in list(client.features.list(features, page_size=3))[:3]:
    likely = " ".join(repr(logit.text) for logit in feature.top_logits[:3])
    print(f"latent {feature.latent:>3} fires on {feature.density:.2%} of the tokens and makes likely {likely}")

# %%
firing = client.features.activate(features, "Return the number of items.", features=2)
for trace in firing.traces:
    peak = max(range(len(firing.tokens)), key=lambda place: trace.activations[place])
    print(f"latent {trace.latent:>3} fires most on {firing.tokens[peak]!r}, at {trace.max_activation:.1f}")

# %% [markdown]
# ## What can go wrong
#
# Every error is an exception of `mistudio`; a refused request says what is wrong with each field, and enqueues nothing.

# %%
try:
    client.jobs.submit(mistudio.TrainSae(model=mistudio.ref(dataset), hook_points=["layer.99"]))
except mistudio.InvalidArgumentError as error:
    for violation in error.violations:
        print(f"{violation.field}: {violation.description}")

# %%
try:
    client.jobs.get("job-none")
except mistudio.NotFoundError as error:
    print(error)

# %% [markdown]
# `result()` raises if the job failed (`JobFailedError`) or was cancelled. A cancelled job is really over, and its slot
# is free.

# %%
training.model.CopyFrom(mistudio.ref(run.jobs["model"].artifact_ids[0]))
training.tokens.CopyFrom(mistudio.ref(run.jobs["tokens"].artifact_ids[0]))
training.total_tokens = 1_000_000_000
long = client.jobs.submit(training, display_name="far too long")
long.cancel()
try:
    long.result()
except mistudio.JobCancelledError as error:
    print(error)

# %% [markdown]
# ## The same with asyncio
#
# `AsyncClient` has the same nouns and verbs. Here two jobs are followed side by side.


# %%
async def summarize_twice() -> list[str]:
    async with mistudio.AsyncClient() as aclient:
        spec = mistudio.SummarizeDataset(dataset=mistudio.ref(dataset))
        jobs = [await aclient.jobs.submit(spec, priority=priority) for priority in (10, 9)]
        reports = await asyncio.gather(*(job.result() for job in jobs))
        return [report for [report] in reports]


# In a notebook, where a loop runs already, `await summarize_twice()` is enough; this works there and in a script.
with ThreadPoolExecutor() as thread:
    for report in thread.submit(asyncio.run, summarize_twice()).result():
        print(report)

# %%
client.close()
