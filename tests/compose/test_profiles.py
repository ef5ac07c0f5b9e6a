"""Each of the other profiles comes up healthy and serves the queues of the table."""

from __future__ import annotations

import pytest
from compose_stack import ComposeStack
from demo_jobs import assert_made_once, finish, submit_demo

from mistudio.cli.demo.recipe import SMALL
from mistudio_runtime.queues import load_queues
from mistudio_runtime.stack.plan import plan_stack
from support.waiting import eventually


@pytest.mark.parametrize("profile", ["minimal", "datasets", "training"])
async def test_profile(profile: str, stack: ComposeStack) -> None:
    plan = plan_stack(load_queues(), profile, {})
    stack.up()
    assert stack.services() == sorted(["broker", "gateway", *(worker.name for worker in plan.workers)])
    with stack.client() as client:

        def served() -> set[str]:
            return {queue.name for queue in client.queues.list() if queue.workers}

        await eventually(lambda: served() == set(plan.queues), within=60, what=f"{plan.queues} are served")
        if profile == "minimal":
            assert_made_once(client, finish(submit_demo(client, SMALL).jobs.values()))
