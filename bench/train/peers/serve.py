"""How a program answers: one line of JSON in, one out. It needs torch and transformers only, of any version."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from bench.train.workload import HELD_OUT_BLOCKS, Workload, read_workload

Answer = Callable[[Workload], dict[str, Any]]
Reconstruct = Callable[[torch.Tensor], torch.Tensor]


def serve(answers: Mapping[str, Answer]) -> None:
    """Answers until the input is closed; whatever libraries print goes to the error output."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    out = sys.stdout
    for line in sys.stdin:
        do, workload = read_workload(line)
        with contextlib.redirect_stdout(sys.stderr):
            answer = answers[do](workload)
        out.write(json.dumps(answer) + "\n")
        out.flush()


def load_language_model(workload: Workload) -> Any:
    """Returns the transformers model, frozen."""
    dtype = torch.bfloat16 if workload.bf16 else torch.float32
    return AutoModelForCausalLM.from_pretrained(workload.model, torch_dtype=dtype).eval().requires_grad_(False)


def blocks(workload: Workload, *, held_out: bool = False) -> torch.Tensor:
    """Returns int64 [blocks, context]."""
    array = np.load(workload.tokens).astype(np.int64)
    return torch.from_numpy(array[-HELD_OUT_BLOCKS:] if held_out else array[:-HELD_OUT_BLOCKS])


@torch.no_grad()
def activations(workload: Workload, ids: torch.Tensor) -> torch.Tensor:
    """Returns fp32 [tokens, d_in] by the model's own hidden states: the same for every program."""
    model = AutoModelForCausalLM.from_pretrained(workload.model).eval()
    states = [model(part, output_hidden_states=True).hidden_states[workload.layer + 1] for part in ids.split(8)]
    return torch.cat([state.flatten(0, 1) for state in states])


@torch.no_grad()
def held_out_fvu(workload: Workload, reconstruct: Reconstruct) -> float:
    """Returns Σ‖x - x̂‖² / Σ‖x - mean x‖² on the held-out blocks."""
    x = activations(workload, blocks(workload, held_out=True))
    error = (x - reconstruct(x).float()).double().square().sum()
    return float(error / (x - x.mean(0)).double().square().sum())


def timed(run: Callable[[], object]) -> float:
    """Returns how long a call takes, in seconds."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def repeated(run: Callable[[], object], times: int) -> float:
    """Returns the seconds of `times` calls, after one that warms up."""
    run()
    return timed(lambda: [run() for _ in range(times)])
