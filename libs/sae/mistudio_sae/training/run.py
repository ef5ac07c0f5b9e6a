"""Trains sparse autoencoders from tokens to finished, folded SAEs."""

from collections.abc import Sequence
from pathlib import Path

from mistudio_sae.models import HookPoint, LanguageModel
from mistudio_sae.reporting import Reporter, Stopped, StopRequest
from mistudio_sae.saes import SaeConfig
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training.checks import check_plan
from mistudio_sae.training.config import TrainingConfig
from mistudio_sae.training.plan import TrainingPlan
from mistudio_sae.training.result import TrainedSae
from mistudio_sae.training.session import TrainingSession


def train(  # noqa: PLR0917 - the parts of a plan, in the order in which one thinks of them
    lm: LanguageModel,
    tokens: TokensReader,
    hook_points: Sequence[HookPoint],
    saes: Sequence[SaeConfig],
    config: TrainingConfig,
    checkpoint_dir: Path,
    reporter: Reporter,
) -> list[TrainedSae]:
    """Train every SAE configuration on every hook point, all from one harvest of the `train` split.

    Continues from the newest checkpoint in `checkpoint_dir`; the result then equals that of an uninterrupted run bit
    for bit on the same hardware and thread count. The dataset repeats in another order until the budget is spent.

    Raises ConfigError, HookPointError or TokensFormatError for parts that do not fit together, CheckpointError for a
    checkpoint of another run, DivergenceError when the model's activations are not finite or every SAE was stopped,
    OutOfMemoryError when not even the smallest part of a batch fits, and Stopped when the reporter asks to cancel,
    pause or drain (after a checkpoint for the latter two). FINISH returns what there is. An SAE that diverges is rolled
    back, at last stopped and left out of the result; log lines and the metrics "rollbacks" and "stopped" tell of it.
    """
    plan = TrainingPlan(lm, tokens, hook_points, saes, config)
    check_plan(plan)
    session = TrainingSession(plan, Path(checkpoint_dir), reporter)
    while not session.finished:
        request = reporter.should_stop()
        if request is StopRequest.FINISH and session.step > 0:
            reporter.log("info", f"finishing early after {session.tokens_done} tokens")
            session.save_if_possible()  # whoever is interrupted in the evaluation that follows need not train again
            break
        _obey(request, session)
        if session.source.hungry:
            session.harvest()
        else:
            session.train_step()
    return session.results()


def _obey(request: StopRequest | None, session: TrainingSession) -> None:
    if request is StopRequest.PAUSE:
        session.save()
    if request is StopRequest.DRAIN:
        # The process ends either way; without this checkpoint, another one starts from the last.
        session.save_if_possible()
    if request not in (None, StopRequest.FINISH):
        raise Stopped(StopRequest(request))
