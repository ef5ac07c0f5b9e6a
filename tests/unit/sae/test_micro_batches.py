"""Batches in parts: the same gradients, and fewer tokens at a time where memory really runs out."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mistudio_sae.saes import ARCHITECTURES, TRANSCODES, Architecture, LossTerms, Sae, SaeConfig, build_sae
from mistudio_sae.saes.batch_selection import largest_places
from mistudio_sae.training.micro_batches import MicroBatches

D_IN, D_SAE, BATCH = 8, 48, 50
CONFIG = SaeConfig("topk", D_IN, D_SAE, k=4, bandwidth=0.5, initial_threshold=0.2)


def through(architecture: Architecture, parts: int) -> tuple[Sae, LossTerms]:
    """An SAE after a batch went through it in so many parts, and what that measured."""
    generator = torch.Generator().manual_seed(0)
    sae = build_sae(replace(CONFIG, architecture=architecture), generator)
    x, dead = torch.randn(BATCH, D_IN, generator=generator), torch.arange(D_SAE) % 3 == 0
    micro = MicroBatches()
    micro.parts = parts
    target = torch.randn(BATCH, D_IN, generator=generator) if architecture in TRANSCODES else x
    return sae, micro.backward(sae, x, target, dead, 0.5)


def gradients(sae: Sae) -> dict[str, Tensor]:
    return {name: value.grad for name, value in sae.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("parts", [3, BATCH])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parts_give_the_gradients_and_the_terms_of_the_whole(architecture: Architecture, parts: int) -> None:
    whole, expected = through(architecture, 1)
    split, terms = through(architecture, parts)
    assert gradients(split).keys() == gradients(whole).keys()
    for name, gradient in gradients(whole).items():
        torch.testing.assert_close(gradients(split)[name], gradient, rtol=1e-5, atol=1e-6, msg=name)
    for name in ("loss", "reconstruction", "sparsity", "auxiliary"):
        torch.testing.assert_close(getattr(terms, name), getattr(expected, name), rtol=1e-5, atol=1e-6)
    assert torch.equal(terms.fired, expected.fired)
    for after, buffer in zip(split.buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(after, buffer)


def test_the_whole_batch_is_what_the_architecture_computes_itself() -> None:
    sae, terms = through("batchtopk", 1)
    alone = build_sae(sae.config, generator := torch.Generator().manual_seed(0))
    own = alone.training_loss(torch.randn(BATCH, D_IN, generator=generator), torch.arange(D_SAE) % 3 == 0)
    (own.loss / D_IN).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert torch.equal(terms.loss, own.loss.detach())
    for name, gradient in gradients(alone).items():
        assert torch.equal(gradients(sae)[name], gradient)


def test_the_largest_of_parts_are_the_largest_of_all() -> None:
    numbers = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    parts = numbers.tensor_split([10, 11, 400])
    values, places = largest_places(iter(parts), 100)
    assert torch.equal(values.sort().values, numbers.topk(100).values.sort().values)
    begins = [0, 10, 11, 400]
    found = torch.cat([own + low for own, low in zip(places, begins, strict=True)])
    assert torch.equal(found, numbers.topk(100).indices.sort().values)


def in_little_memory(task: str, folder: Path) -> dict[str, object]:
    """What a process says that really has too little memory for `task`."""
    command = [sys.executable, "-W", "error", str(Path(__file__).parent / "memory_child.py"), task, str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space of a process")
def test_a_step_without_memory_is_repeated_in_parts(tmp_path: Path) -> None:
    answer = in_little_memory("step", tmp_path)
    assert answer["parts"] in (2, 4, 8)
    assert answer["close"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space of a process")
def test_a_batch_that_fits_in_no_way_names_the_largest_that_does(tmp_path: Path) -> None:
    message = str(in_little_memory("too_large", tmp_path)["error"])
    found = int(message.rsplit(" ", 1)[1].rstrip("."))
    assert message.startswith(
        "batch_tokens: a step of standard 4→65536 l1=5 does not fit into memory with 16384 tokens"
    )
    assert found in (4096, 8192)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space of a process")
def test_a_run_whose_memory_runs_out_goes_on_in_parts_also_after_a_pause(tmp_path: Path) -> None:
    answer = in_little_memory("run", tmp_path)
    logs, resumed = answer["logs"], answer["resumed_logs"]
    assert isinstance(logs, list)
    assert isinstance(resumed, list)
    told = [line for line in logs if "memory ran out: layer.1.resid_post with standard 16→8192 l1=5 takes" in line]
    assert told
    assert not any("memory ran out" in line for line in resumed)
    parts = answer["parts"]
    assert isinstance(parts, int)
    assert f"in {parts} parts of {2048 // parts} tokens" in told[-1]
    assert answer["close"] is True
