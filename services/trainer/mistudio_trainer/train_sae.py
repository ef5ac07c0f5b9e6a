"""The job kind train_sae: sparse autoencoders on the activations of a model."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import TrainSae
from mistudio_runtime.jobs import JobContext, JobStoppedError, PermanentFailure, Stop, TransientFailure
from mistudio_runtime.jobs.inputs import check_tokenizer, input_artifact
from mistudio_sae.devices import choose_device, use_available_cores
from mistudio_sae.errors import CheckpointError
from mistudio_sae.models import LanguageModel, load_model
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training import TrainedSae, train
from mistudio_trainer.activation_width import activation_width
from mistudio_trainer.metric_sinks import check_packages, open_sinks
from mistudio_trainer.metrics_log import read_log
from mistudio_trainer.plan import TrainingPlan, hook_points, make_plan
from mistudio_trainer.report import JobReport
from mistudio_trainer.sae_artifact import SaeOrigin, commit_sae, reported
from mistudio_trainer.scratch_folder import ScratchFolder
from mistudio_trainer.training_reporter import TrainingReporter, obeying_stops

_DTYPES = ("float32", "bfloat16")


def run(spec: TrainSae, context: JobContext) -> list[str]:
    """Trains every SAE on every hook point; returns the ids of the SAE artifacts, hook point by hook point.

    An SAE that diverges for good is left out: its number is missing among the ids, and an error in the log says why.

    Continues from the newest checkpoint of an earlier attempt with the same spec, to the same weights as without the
    interruption. Raises PermanentFailure or a ScienceError for what no other attempt can mend, TransientFailure
    when a checkpoint cannot be written, JobStoppedError when asked to stop.
    """
    context.stages({"load": 1, "harvest": 1, "train": 20, "evaluate": 3, "save": 1})
    check_packages(spec)
    dtype, device, hooks = _dtype(spec), choose_device(context.device(spec.device)), hook_points(spec)
    model = input_artifact(context.store, spec.model, "model", "model")
    packed = input_artifact(context.store, spec.tokens, "tokens", "tokens")
    check_tokenizer(context.store, packed, model)
    cores = use_available_cores()
    context.progress("load", 0, 1, "models")
    lm = load_model(context.store.path(model.id), dtype=dtype, device=device)
    tokens = TokensReader.open(context.store.path(packed.id))
    plan = make_plan(spec, d_in=activation_width(lm, tokens, hooks), context_length=tokens.info.context_length)
    context.progress("load", 1, 1, "models")
    context.log("info", f"training {plan.outputs} SAE(s) on {device} with {cores} processor core(s)")
    scratch = ScratchFolder(context.scratch, spec)
    with open_sinks(spec, scratch, context) as sinks:
        trained = _train(lm, tokens, plan, scratch, TrainingReporter(context, plan.names, plan.outputs, sinks.append))
    if context.stop_requested() is Stop.CANCEL:
        # The last moment for it. A pause or a drain comes too late: what is left takes less time than resuming would.
        raise JobStoppedError(Stop.CANCEL)
    _tell_missing(context, plan, trained)
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    origin = SaeOrigin(model, packed, tokens.info, read_log(scratch.metrics), parameters, scratch.tensorboard)
    return _commit(context, plan, trained, origin)


def _tell_missing(context: JobContext, plan: TrainingPlan, trained: list[TrainedSae]) -> None:
    missing = sorted(set(range(plan.outputs)) - {sae.place for sae in trained})
    for place in missing:
        hook, name = plan.hooks[place // len(plan.names)].name, plan.names[place % len(plan.names)]
        context.log("error", f"{name} on {hook} diverged and has no artifact; number {place} is left out")


def _dtype(spec: TrainSae) -> str:
    dtype = spec.dtype or _DTYPES[0]
    if dtype not in _DTYPES:
        raise PermanentFailure(f"dtype: {dtype!r} is unknown; choose {' or '.join(_DTYPES)}")
    return dtype


def _train(
    lm: LanguageModel, tokens: TokensReader, plan: TrainingPlan, scratch: ScratchFolder, reporter: TrainingReporter
) -> list[TrainedSae]:
    with obeying_stops():
        try:
            return train(lm, tokens, plan.hooks, plan.saes, plan.config, scratch.checkpoints, reporter)
        except CheckpointError as error:
            # Space for it may be there the next time, or on another machine.
            raise TransientFailure(str(error), reason="CHECKPOINT") from error


def _commit(context: JobContext, plan: TrainingPlan, trained: list[TrainedSae], origin: SaeOrigin) -> list[str]:
    report, ids = JobReport(reported(context, plan.names, trained, origin)), []
    for index, sae in enumerate(trained):
        ids.append(commit_sae(context, index, sae, origin, report))
        context.progress("save", index + 1, len(trained), "SAEs")
    return ids
