"""SAEs that diverge: rolled back, stopped and reported, while the others of the sweep go on as if alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from recording import RecordingReporter
from tiny import CONTEXT, D_MODEL, language_model, write_tokens

from mistudio_sae.errors import CheckpointError, ConfigError, DivergenceError
from mistudio_sae.models import HookPoint, LanguageModel
from mistudio_sae.reporting import Stopped, StopRequest
from mistudio_sae.saes import SaeConfig
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training import TrainedSae, TrainingConfig, train
from mistudio_sae.training.guard import Guard, Standing
from mistudio_sae.training.trainee import Trainee

HOOK = HookPoint.parse("layer.1.resid_post")
CALM = SaeConfig("topk", D_MODEL, 32, k=4)
WILD = SaeConfig("standard", D_MODEL, 24, learning_rate=1e30)
EXPLODING = SaeConfig("topk", D_MODEL, 64, k=4, learning_rate=1.0)
CONFIG = TrainingConfig(
    total_tokens=64 * 60,
    batch_tokens=64,
    buffer_tokens=512,
    checkpoint_every_tokens=640,
    evaluation_tokens=CONTEXT * 4,
    log_every_steps=1,
    warmup_fraction=0.8,
    explosion_multiple=1.2,
)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return language_model()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokensReader:
    return write_tokens(tmp_path_factory.mktemp("tokens"), blocks=64)


def run(
    lm: LanguageModel,
    tokens: TokensReader,
    folder: Path,
    *saes: SaeConfig,
    reporter: RecordingReporter | None = None,
    config: TrainingConfig = CONFIG,
) -> list[TrainedSae]:
    return train(lm, tokens, (HOOK,), saes, config, folder, reporter or RecordingReporter())


def same(one: TrainedSae, other: TrainedSae) -> bool:
    pairs = zip(one.sae.state_dict().values(), other.sae.state_dict().values(), strict=True)
    return one.metrics == other.metrics and all(torch.equal(*pair) for pair in pairs)


def test_a_diverging_sae_is_left_out_and_the_others_do_not_notice(
    lm: LanguageModel, tokens: TokensReader, tmp_path: Path
) -> None:
    reporter = RecordingReporter()
    (left,) = run(lm, tokens, tmp_path / "sweep", WILD, CALM, reporter=reporter)
    (alone,) = run(lm, tokens, tmp_path / "alone", CALM)
    assert (left.place, left.config) == (1, CALM)
    assert same(left, alone)
    told = [line for line in reporter.logs if "standard 16→24" in line]
    assert [line.split(":")[0] for line in told] == ["warning", "error"]
    assert "goes on from its first weights with 0.5 of its learning rate" in told[0]
    assert "is stopped after 1 rollback(s)" in told[1]
    assert {name for name, sae, _ in reporter.metrics if sae == "0"} >= {"rollbacks", "stopped"}


def test_the_run_fails_when_no_sae_is_left(lm: LanguageModel, tokens: TokensReader, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"standard 16→24.*at step 1; .*All 2 SAEs of the run were stopped"):
        run(lm, tokens, tmp_path, WILD, replace(WILD, d_sae=32), config=replace(CONFIG, rollbacks=0))


def test_an_explosion_goes_back_to_the_last_good_checkpoint(
    lm: LanguageModel, tokens: TokensReader, tmp_path: Path
) -> None:
    reporter = RecordingReporter()
    config = replace(CONFIG, rollbacks=8, keep_checkpoints=1)
    (trained,) = run(lm, tokens, tmp_path, EXPLODING, reporter=reporter, config=config)
    back = next(line for line in reporter.logs if "its FVU exploded" in line)
    step = int(back.split("as it was at step ")[1].split(" ")[0])
    exploded = int(back.split(" at step ")[1].split(",")[0])
    assert 0 < step < exploded
    # What a step after the rollback measures is near what was measured at the checkpoint, not near the explosion.
    rates = [reporter.metrics["learning_rate", "0", place] for place in (exploded, exploded + 2)]
    assert rates[1] < 0.6 * rates[0]
    after, before = reporter.metrics["fvu", "0", exploded + 2], reporter.metrics["fvu", "0", step]
    assert after < 1.2 * max(1, before)
    assert trained.metrics["rollbacks"] >= 1


def test_the_checkpoint_to_go_back_to_is_kept_however_many_follow(
    lm: LanguageModel, tokens: TokensReader, tmp_path: Path
) -> None:
    run(lm, tokens, tmp_path, CALM, config=replace(CONFIG, keep_checkpoints=1, keep_best=False, log_every_steps=25))
    kept = {int(path.name.removeprefix("step-")) for path in tmp_path.iterdir()}
    standing = json.loads((tmp_path / "step-000000000050" / "state.json").read_text())["standings"][0]
    assert kept == {standing["good"], 50}
    assert standing["good"] == 40  # in order at the metric point of step 50


@pytest.mark.parametrize("pause", [5, 17, 33, 45, 57])
def test_rollbacks_and_stops_survive_a_pause_bit_for_bit(
    lm: LanguageModel, tokens: TokensReader, tmp_path: Path, pause: int
) -> None:
    saes, whole_reporter, after = (WILD, EXPLODING, CALM), RecordingReporter(), RecordingReporter()
    whole = run(lm, tokens, tmp_path / "whole", *saes, reporter=whole_reporter)
    before = RecordingReporter(StopRequest.PAUSE, stop_at_tokens=64 * pause)
    with pytest.raises(Stopped):
        run(lm, tokens, tmp_path / "parts", *saes, reporter=before)
    resumed = run(lm, tokens, tmp_path / "parts", *saes, reporter=after)
    assert [each.place for each in resumed] == [each.place for each in whole]
    assert all(same(*pair) for pair in zip(whole, resumed, strict=True))
    assert before.metrics | after.metrics == whole_reporter.metrics


def test_weights_that_the_last_step_spoils_are_no_result(
    lm: LanguageModel, tokens: TokensReader, tmp_path: Path
) -> None:
    once = replace(CONFIG, total_tokens=64, warmup_fraction=0, decay_fraction=0, evaluation_tokens=0)
    with pytest.raises(DivergenceError, match="weights are not finite after the last step"):
        run(lm, tokens, tmp_path, replace(WILD, learning_rate=1e39), config=once)


class Shelf:
    """Checkpoints of one trainee, by step."""

    def __init__(self) -> None:
        self.saved: dict[int, tuple[dict[str, torch.Tensor], dict[str, object]]] = {}

    def put(self, guard: Guard, step: int) -> None:
        tensors = {name: value.clone() for name, value in guard.state_dict().items()}
        self.saved[step] = tensors, guard.as_dict()

    def fetch(self, step: int) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
        if step not in self.saved:
            raise CheckpointError("it is gone")
        return self.saved[step]


def activations(step: int) -> torch.Tensor:
    return torch.randn(64, D_MODEL, generator=torch.Generator().manual_seed(step))


def guarded(shelf: Shelf, logs: list[str]) -> Guard:
    trainee = Trainee(HOOK, CALM, CONFIG, activations(0))
    return Guard(trainee, CONFIG, shelf.fetch, lambda level, message: logs.append(f"{level}: {message}"))


@pytest.mark.parametrize("gone", [False, True])
def test_a_rollback_restores_weights_moments_and_counters(gone: bool) -> None:
    shelf, logs = Shelf(), list[str]()
    guard = guarded(shelf, logs)
    first = {name: value.clone() for name, value in guard.state_dict().items()}
    for step in range(8):
        if step == 4:
            guard.standing.candidate = step
            shelf.put(guard, step)
        guard.step(activations(step), activations(step), step, measure=True)
    spoilt = activations(8)
    spoilt[3, 2] = torch.inf
    if gone:
        shelf.saved.clear()
    assert guard.step(spoilt, spoilt, 8, measure=True) == {"rollbacks": 1.0}
    expected = first if gone else shelf.saved[4][0]
    state = guard.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert guard.standing.good == (0 if gone else 4)
    assert ("from its first weights" if gone else "as it was at step 4") in logs[-1]
    assert guard.trainee is not None
    assert guard.trainee.slowdown == 0.5
    assert "fvu" in guard.step(activations(9), activations(9), 9, measure=True)


def test_a_checkpoint_is_good_only_once_a_later_metric_point_is_in_order() -> None:
    guard = guarded(Shelf(), [])
    guard.step(activations(0), activations(0), 0, measure=True)
    guard.standing.candidate = 1
    guard.step(activations(1), activations(1), 1, measure=False)
    assert guard.standing.good == 0
    guard.step(activations(2), activations(2), 2, measure=True)
    assert guard.standing.good == 1


def test_a_stopped_sae_gives_its_memory_back_and_stays_stopped() -> None:
    guard = guarded(Shelf(), [])
    nothing = torch.full((64, D_MODEL), torch.nan)
    assert [guard.step(nothing, nothing, step, measure=True) for step in range(3)] == [
        {"rollbacks": 1.0},
        {"stopped": 1.0},
        {},
    ]
    assert guard.trainee is None
    assert guard.state_dict() == {}
    again = guarded(Shelf(), [])
    again.resume({}, guard.as_dict())
    assert again.trainee is None
    assert again.standing == guard.standing != Standing()


@pytest.mark.parametrize(
    ("field", "value"),
    [("rollbacks", -1), ("explosion_multiple", 1.0), ("explosion_points", 0), ("keep_checkpoints", 0)],
)
def test_what_decides_a_divergence_is_checked(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(CONFIG, **{field: value})
