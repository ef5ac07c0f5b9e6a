"""Whole runs on a tiny model: results, sweeps, stopping and continuing, and what is refused."""

import dataclasses
from pathlib import Path

import pytest
import torch
from recording import RecordingReporter
from tiny import CONTEXT, D_MODEL, language_model, write_tokens

from mistudio_sae.errors import CheckpointError, ConfigError, DivergenceError, HookPointError, TokensFormatError
from mistudio_sae.models import HookPoint, LanguageModel, capture
from mistudio_sae.reporting import Stopped, StopRequest
from mistudio_sae.saes import ARCHITECTURES, SaeConfig
from mistudio_sae.tokens import TokensReader, TokensWriter
from mistudio_sae.training import TrainedSae, TrainingConfig, train

HOOK, OTHER_HOOK = HookPoint.parse("layer.1.resid_post"), HookPoint.parse("layer.0.mlp_out")
TOPK = SaeConfig("topk", D_MODEL, 32, k=4, dead_window_tokens=500)
STANDARD = SaeConfig("standard", D_MODEL, 24, l1_coefficient=0.3)
CONFIG = TrainingConfig(
    total_tokens=64 * 40, batch_tokens=64, buffer_tokens=512, log_every_steps=5, evaluation_tokens=CONTEXT * 8
)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return language_model()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokensReader:
    return write_tokens(tmp_path_factory.mktemp("tokens"), blocks=64)


@dataclasses.dataclass
class Run:
    lm: LanguageModel
    tokens: TokensReader
    folder: Path

    def __call__(
        self,
        reporter: RecordingReporter | None = None,
        *,
        hooks: tuple[HookPoint, ...] = (HOOK,),
        saes: tuple[SaeConfig, ...] = (TOPK,),
        config: TrainingConfig = CONFIG,
        folder: str = "checkpoints",
    ) -> list[TrainedSae]:
        chosen = reporter or RecordingReporter()
        return train(self.lm, self.tokens, hooks, saes, config, self.folder / folder, chosen)


@pytest.fixture
def run(lm: LanguageModel, tokens: TokensReader, tmp_path: Path) -> Run:
    return Run(lm, tokens, tmp_path)


def assert_equal(first: TrainedSae, second: TrainedSae) -> None:
    for name, value in first.sae.state_dict().items():
        assert torch.equal(value, second.sae.state_dict()[name]), name
    assert first.metrics == second.metrics
    assert torch.equal(first.sparsity, second.sparsity)


def test_a_sweep_trains_every_pair_and_each_as_if_alone(run: Run) -> None:
    results = run(hooks=(HOOK, OTHER_HOOK), saes=(TOPK, STANDARD))
    assert [(each.hook, each.config) for each in results] == [
        (HOOK, TOPK),
        (HOOK, STANDARD),
        (OTHER_HOOK, TOPK),
        (OTHER_HOOK, STANDARD),
    ]
    alone = run(hooks=(OTHER_HOOK,), saes=(STANDARD,), folder="alone")
    assert_equal(results[3], alone[0])


def test_a_trained_sae_reads_raw_activations(run: Run) -> None:
    result = run(config=dataclasses.replace(CONFIG, learning_rate=4e-3))[0]
    ids = torch.from_numpy(run.tokens.blocks("validation")[:])
    x = capture(run.lm, ids, [HOOK])[HOOK.name][run.tokens.special_mask(ids)]
    fvu = (x - result.sae(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert result.metrics["evaluation/fvu"] == pytest.approx(fvu.item(), rel=1e-3)
    assert fvu < 0.5
    torch.testing.assert_close(result.sae.W_dec.norm(dim=1), torch.ones(32))
    assert result.metrics["l0"] <= 4
    assert result.sparsity.shape == (32,)
    assert not any(parameter.requires_grad for parameter in result.sae.parameters())


def test_progress_and_metrics_are_reported(run: Run) -> None:
    reporter = RecordingReporter()
    run(reporter, saes=(TOPK, STANDARD))
    trained = [done for stage, done, _, _ in reporter.progressed if stage == "train"]
    assert trained == [64 * (place + 1) for place in range(40)]
    assert {step for name, sae, step in reporter.metrics if name == "fvu"} == set(range(5, 41, 5))
    assert reporter.metrics["fvu", "0", 40] < reporter.metrics["fvu", "0", 5]
    assert reporter.metrics["evaluation/ce_recovered", "1", 40] > 0
    assert reporter.metrics["sparsity_loss", "0", 40] == 0 < reporter.metrics["sparsity_loss", "1", 40]


def test_more_tokens_than_the_dataset_has_repeat_it_and_say_so(run: Run) -> None:
    reporter = RecordingReporter()
    result = run(reporter)[0]
    assert result.tokens == CONFIG.total_tokens
    assert result.epochs >= 3
    assert "info: the training split is read for time 2" in reporter.logs


@pytest.mark.parametrize("request_", [StopRequest.PAUSE, StopRequest.DRAIN])
def test_pause_and_resume_equal_an_uninterrupted_run(run: Run, request_: StopRequest) -> None:
    saes = tuple(dataclasses.replace(TOPK, architecture=architecture) for architecture in ARCHITECTURES)
    whole_reporter, hooks = (
        RecordingReporter(),
        (HookPoint.parse("layer.1.mlp_in"),),
    )  # what every architecture can read
    whole = run(whole_reporter, hooks=hooks, saes=saes, folder="whole")
    first, second = RecordingReporter(request_, stop_at_tokens=64 * 17), RecordingReporter()
    with pytest.raises(Stopped) as caught:
        run(first, hooks=hooks, saes=saes)
    assert caught.value.request is request_
    resumed = run(second, hooks=hooks, saes=saes)
    assert "info: resumed after 1088 tokens (step 17)" in second.logs
    for one, other in zip(whole, resumed, strict=True):
        assert_equal(one, other)
    assert first.metrics | second.metrics == whole_reporter.metrics


def test_a_pause_before_the_first_step_starts_afresh(run: Run) -> None:
    with pytest.raises(Stopped):
        run(RecordingReporter(StopRequest.PAUSE))
    assert_equal(run()[0], run(folder="whole")[0])


def test_cancel_leaves_no_checkpoint(run: Run) -> None:
    with pytest.raises(Stopped) as caught:
        run(RecordingReporter(StopRequest.CANCEL, stop_at_tokens=640))
    assert caught.value.request is StopRequest.CANCEL
    assert not (run.folder / "checkpoints").exists()


def test_finish_returns_what_there_is(run: Run) -> None:
    result = run(RecordingReporter(StopRequest.FINISH, stop_at_tokens=640))[0]
    assert result.tokens == 640
    assert result.metrics["evaluation/tokens"] > 0


def test_a_resumed_run_may_change_its_habits_but_not_its_result(run: Run) -> None:
    with pytest.raises(Stopped):
        run(RecordingReporter(StopRequest.PAUSE, stop_at_tokens=640))
    with pytest.raises(CheckpointError, match="seed"):
        run(config=dataclasses.replace(CONFIG, seed=1))
    with pytest.raises(CheckpointError, match="saes"):
        run(saes=(STANDARD,))
    assert run(config=dataclasses.replace(CONFIG, checkpoint_every_tokens=640))[0].tokens == CONFIG.total_tokens


def test_periodic_checkpoints_and_evaluations(run: Run) -> None:
    reporter = RecordingReporter()
    run(reporter, config=dataclasses.replace(CONFIG, checkpoint_every_tokens=640, evaluate_every_tokens=1280))
    names = sorted(path.name for path in (run.folder / "checkpoints").iterdir())
    assert names == ["step-000000000020", "step-000000000030"]
    assert {step for name, _, step in reporter.metrics if name == "evaluation/fvu"} == {20, 40}


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(run: Run) -> None:
    (run.folder / "checkpoints").write_text("no folder")
    reporter = RecordingReporter()
    config = dataclasses.replace(CONFIG, checkpoint_every_tokens=640)
    assert run(reporter, config=config)[0].tokens == CONFIG.total_tokens
    assert any("cannot be written" in line and line.startswith("warning") for line in reporter.logs)


def test_without_a_validation_split_there_is_no_evaluation(run: Run, tmp_path: Path) -> None:
    with TokensWriter(tmp_path / "t", context_length=CONTEXT, vocab_size=61, tokenizer="t") as writer:
        writer.add_document(list(range(1, 60)) * 10, 0)
    run.tokens = TokensReader.open(tmp_path / "t")
    assert not any(name.startswith("evaluation/") for name in run()[0].metrics)


def test_divergence_names_hook_and_configuration(run: Run) -> None:
    wild = dataclasses.replace(STANDARD, learning_rate=1e30)
    with pytest.raises(DivergenceError, match=r"layer\.1\.resid_post with standard 16→24 l1=0\.3.*learning rate"):
        run(saes=(wild,))


def test_dead_latents_get_the_auxiliary_loss(run: Run) -> None:
    reporter = RecordingReporter()
    run(reporter, saes=(dataclasses.replace(TOPK, d_sae=256, k=1, dead_window_tokens=64),))
    assert max(value for (name, _, _), value in reporter.metrics.items() if name == "auxiliary_loss") > 0


@pytest.mark.parametrize("window", [None, 10**9])
def test_a_declared_dead_window_holds_however_short_the_run(run: Run, window: int | None) -> None:
    reporter = RecordingReporter()
    run(reporter, saes=(dataclasses.replace(TOPK, d_sae=256, k=1, dead_window_tokens=window),))
    dead = max(value for (name, _, _), value in reporter.metrics.items() if name == "dead_fraction")
    assert (dead > 0) == (window is None)


def test_a_raw_module_path_takes_its_own_width(run: Run) -> None:
    hook = HookPoint.parse("transformer.h.1.mlp.c_fc")
    assert run(hooks=(hook,), saes=(dataclasses.replace(TOPK, d_in=64),))[0].sae.W_dec.shape == (32, 64)
    with pytest.raises(ConfigError, match="64 wide"):
        run(hooks=(hook,), folder="other")


def test_parts_that_do_not_fit_are_refused_before_anything_runs(run: Run) -> None:
    with pytest.raises(HookPointError, match="layers 0 to 2"):
        run(hooks=(HookPoint.parse("layer.3.resid_post"),))
    with pytest.raises(ConfigError, match="16 wide"):
        run(saes=(dataclasses.replace(TOPK, d_in=17),))
    with pytest.raises(ConfigError, match="only once"):
        run(hooks=(HOOK, HOOK))
    with pytest.raises(ConfigError, match="at least one SAE"):
        run(saes=())
    with pytest.raises(ConfigError, match="tokens of the training split"):
        run(config=TrainingConfig(total_tokens=4096, batch_tokens=4096, buffer_tokens=8192))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"vocab_size": 60}, "tokenize with the tokenizer"), ({"context_length": 65}, "shorter context length")],
)
def test_tokens_of_another_tokenizer_or_length_are_refused(
    run: Run, tmp_path: Path, options: dict[str, int], message: str
) -> None:
    settings = {"context_length": CONTEXT, "vocab_size": 61} | options
    with TokensWriter(tmp_path / "t", tokenizer="another", **settings) as writer:  # type: ignore[arg-type]
        writer.add_document([1] * 5000, 0)
    run.tokens = TokensReader.open(tmp_path / "t")
    with pytest.raises(TokensFormatError, match=message):
        run()


def test_a_pause_without_room_for_its_checkpoint_fails_and_a_drain_ends_anyway(run: Run) -> None:
    (run.folder / "checkpoints").write_text("no folder")
    with pytest.raises(CheckpointError, match="free some space"):
        run(RecordingReporter(StopRequest.PAUSE, stop_at_tokens=640))
    with pytest.raises(Stopped):
        run(RecordingReporter(StopRequest.DRAIN, stop_at_tokens=640))
