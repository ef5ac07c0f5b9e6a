"""Whether this machine has the device that a worker is told to use."""

from __future__ import annotations

import pytest

from mistudio_runtime.host.wanted_device import DeviceError, check_device, missing
from mistudio_runtime.worker.paced_warning import PERIOD_SECONDS, PacedWarning


@pytest.mark.parametrize(
    ("wanted", "there", "problem", "says"),
    [
        ("cuda:0", ["cuda:0"], "", ""),
        ("cuda", ["cuda:0"], "", ""),
        ("cuda:1", ["cuda:0"], "", "this machine has cuda:0; name another one"),
        ("cuda", [], "", "no NVIDIA processor"),
        ("cuda:0", ["cuda:0"], "the installed torch 2.13.0+cpu is not built for CUDA", "torch 2.13.0+cpu"),
    ],
)
def test_what_is_missing_is_said(wanted: str, there: list[str], problem: str, says: str) -> None:
    sentence = missing(wanted, there, problem)
    assert says in sentence
    assert bool(sentence) == bool(says)


def test_only_workers_that_compute_are_refused() -> None:
    check_device("cuda:99", ["collect_garbage"])
    check_device("cpu", ["train_sae"])
    check_device("", ["train_sae"])
    with pytest.raises(DeviceError, match="--device cuda:99"):
        check_device("cuda:99", ["train_sae"])


def test_what_goes_on_is_said_once_in_a_while() -> None:
    now = [0.0]
    warning = PacedWarning("not attached", clock=lambda: now[0])
    said = [warning.say(code="A"), warning.say(code="A"), warning.say(code="B"), warning.say(code="B")]
    now[0] = PERIOD_SECONDS
    said.append(warning.say(code="B"))
    warning.over()
    said.append(warning.say(code="B"))
    assert said == [True, False, True, False, True, True]
