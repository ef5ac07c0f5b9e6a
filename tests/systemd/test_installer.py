"""The installer on a machine that systemd runs: what it asks for, and what it takes away."""

from __future__ import annotations

from machine import PREFIX, SOURCE, Machine
from served import all_served

import mistudio
from support.waiting import eventually

INSTALLER = f"{SOURCE}/deploy/systemd/install.sh"
NOBODY = "nobody"


def test_a_dry_run_needs_no_rights_and_leaves_the_machine_as_it_was(bare: Machine) -> None:
    before = files(bare)
    shown = bare.run(INSTALLER, "--dry-run", "--profile", "full", user=NOBODY)
    assert "+ write /etc/systemd/system/mistudio-worker@.service (mode 644):" in shown
    assert files(bare) == before
    assert not bare.active_units()


def test_a_user_without_rights_is_told_what_is_needed(bare: Machine) -> None:
    done = bare.attempt(INSTALLER, user=NOBODY)
    assert done.returncode == 1
    assert done.stderr == ("install.sh: this needs root: run it with sudo, or see with --dry-run what it would do\n")


def test_a_machine_without_systemd_is_refused(bare: Machine) -> None:
    without = f"mount -t tmpfs none /run && {INSTALLER}"
    done = bare.attempt("unshare", "--mount", "sh", "-c", without)
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: systemd does not run on this machine: use 'mistudio up --detach'")


async def test_the_profile_is_switched_while_the_mesh_runs(machine: Machine) -> None:
    settings = machine.settings()
    shown = machine.install("--profile", "minimal")
    assert "taking away mistudio-worker@trainer.service" in shown
    assert workers(machine) == {"mistudio-worker@all.service"}
    with mistudio.Client(machine.address) as client:
        await eventually(lambda: all_served(client), within=120, what="one worker serves every queue")
        assert client.jobs.submit(mistudio.VerifyArtifacts()).result(timeout=120) is not None
        assert {worker.worker.name.partition("@")[0] for worker in client.workers.list()} == {"worker"}
    machine.install("--profile", "full")
    assert "mistudio-worker@all.service" not in workers(machine)
    assert machine.settings() == settings


async def test_two_trainers_on_one_host(machine: Machine) -> None:
    machine.install("--profile", "full", "--scale", "trainer=2")
    assert workers(machine) >= {"mistudio-worker@trainer.service", "mistudio-worker@trainer:2.service"}

    with mistudio.Client(machine.address) as client:

        def trainers() -> bool:
            [training] = [queue for queue in client.queues.list() if queue.name == "training"]
            return len(training.workers) == 2

        await eventually(trainers, within=120, what="two trainers serve the queue")


def test_uninstalling_stops_everything_and_keeps_the_data(machine: Machine) -> None:
    machine.systemctl("start", "mistudio-worker@trainer:7")
    shown = machine.install("--uninstall")
    assert "kept /etc/mistudio, /var/lib/mistudio" in shown
    assert machine.processes() == []
    assert machine.attempt("systemctl", "list-unit-files", "--no-legend", "mistudio*").stdout == ""
    assert machine.run("ls", "/var/lib/mistudio/nats")
    assert machine.settings()
    assert machine.run(f"{PREFIX}/bin/mistudio", "--help")


def files(machine: Machine) -> str:
    """Every file that an installation could touch, with its time and size."""
    return machine.run("find", "/etc", "/opt", "/usr", "/var/lib", "/root", "-printf", "%p %T@ %s\\n")


def workers(machine: Machine) -> set[str]:
    return {unit for unit in machine.active_units() if unit.startswith("mistudio-worker@")}
