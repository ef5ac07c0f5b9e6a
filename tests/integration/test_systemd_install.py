"""deploy/systemd/install.sh, run below a folder: what it writes, enables, keeps and refuses."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mistudio_runtime.queues import load_queues
from mistudio_runtime.stack.units import worker_units
from support.systemd import INSTALLER, SYSTEMD, Staging, needs_systemctl

pytestmark = needs_systemctl

CORE = {"mistudio-broker.service", "mistudio-gateway.service"}
PROFILES = tuple(load_queues().profiles)
COMBINED = """
[queues.training]
priority = 5
slots = 2
memory_limit_kb = 1_000_000
service = "trainer"
job_kinds = ["train_sae"]

[queues.extraction]
priority = 5
slots = 1
memory_limit_kb = 500_000
service = "extractor"
job_kinds = ["extract_features"]

[queues.datasets]
priority = 7
slots = 1
service = "ingest"
job_kinds = ["download_dataset"]

[profiles]
gpu = [["trainer", "extractor"]]
"""


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "root")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_enables_its_workers_of_the_queue_table_and_no_others(staging: Staging, profile: str) -> None:
    staging.install("--profile", profile)
    table = load_queues()
    processes = table.profiles[profile]
    expected = {"all"} if profile == "minimal" else {service for (service,) in processes}
    assert staging.workers == expected
    assert staging.enabled - CORE == {f"mistudio-worker@{one}.service" for one in expected}
    assert staging.enabled >= CORE
    assert (staging.units / "multi-user.target.wants" / "mistudio.target").is_symlink()


def test_memory_limits_are_those_of_the_queue_table(staging: Staging) -> None:
    staging.install("--profile", "full", "--scale", "trainer=2")
    written = {
        folder.name: (folder / "10-memory.conf").read_text().splitlines()[-1]
        for folder in staging.units.glob("mistudio-worker@*.service.d")
    }
    limited = [unit for unit in worker_units(load_queues(), "full", {"trainer": 2}) if unit.memory_bytes]
    assert written == {
        f"mistudio-worker@{unit.instance}.service.d": f"MemoryMax={unit.memory_bytes}" for unit in limited
    }
    assert {unit.instance for unit in limited} == {"trainer", "trainer:2", "extractor"}


def test_a_second_run_changes_nothing(staging: Staging) -> None:
    staging.install("--profile", "full")
    before = staging.snapshot()
    staging.install("--profile", "full")
    assert staging.snapshot() == before


def test_another_profile_switches_the_workers_and_leaves_no_limit_behind(staging: Staging) -> None:
    staging.install("--profile", "training")
    staging.install("--profile", "datasets")
    assert staging.workers == {"ingest", "curator"}
    assert not list(staging.units.glob("*.service.d"))


def test_a_broker_that_the_operator_has_disabled_stays_so(staging: Staging) -> None:
    staging.install("--profile", "training")
    (staging.units / "mistudio.target.wants" / "mistudio-broker.service").unlink()
    staging.install("--profile", "full")
    assert "mistudio-broker.service" not in staging.enabled


def test_secrets_are_made_once_and_never_shown(staging: Staging) -> None:
    printed = staging.install()
    settings = dict(re.findall(r"^(\w+)=(.*)$", staging.settings.read_text(), re.MULTILINE))
    token, password = settings["MISTUDIO_TOKEN"], settings["MISTUDIO_BROKER_PASSWORD"]
    assert len(token) >= 32
    assert len(password) >= 32
    assert token not in password
    assert settings["MISTUDIO_NATS_URL"] == f"nats://mistudio:{password}@127.0.0.1:4222"
    assert stat.S_IMODE(staging.settings.stat().st_mode) == 0o640
    printed += staging.install() + staging.install("--dry-run")
    assert token not in printed
    assert password not in printed


def test_edited_settings_survive(staging: Staging) -> None:
    staging.install()
    staging.settings.write_text("MISTUDIO_TOKEN=mine\n")
    (staging.settings.parent / "nats.conf").write_text("listen: 127.0.0.1:4333\n")
    staging.install("--profile", "full")
    staging.install("--uninstall")
    assert staging.settings.read_text() == "MISTUDIO_TOKEN=mine\n"
    assert (staging.settings.parent / "nats.conf").read_text() == "listen: 127.0.0.1:4333\n"


def test_a_table_of_the_operators_own_is_followed(staging: Staging) -> None:
    staging.install()
    (staging.root / "etc" / "mistudio" / "queues.toml").write_text(COMBINED)
    with staging.settings.open("a") as settings:
        settings.write("MISTUDIO_QUEUES_FILE='/etc/mistudio/queues.toml'\n")
    staging.install("--profile", "gpu", "--scale", "worker=2")
    assert staging.workers == {r"trainer\x2cextractor", r"trainer\x2cextractor:2"}
    limit = staging.units / r"mistudio-worker@trainer\x2cextractor:2.service.d" / "10-memory.conf"
    assert limit.read_text().endswith("MemoryMax=4000000000\n")


def test_a_dry_run_shows_every_file_and_changes_nothing(staging: Staging) -> None:
    shown = staging.install("--dry-run", "--profile", "full")
    assert not staging.root.exists()
    staging.install("--profile", "full")
    secrets = r"(MISTUDIO_TOKEN=|MISTUDIO_BROKER_PASSWORD=|nats://mistudio:)\w+"
    for path, (mode, _, content) in staging.snapshot().items():
        if stat.S_ISREG(mode):
            text = re.sub(secrets, r"\1(generated)", content.decode())
            assert "".join(f"    {line}\n" for line in text.splitlines()) in shown, path
    assert re.search(r"^\+ systemctl .*enable .*mistudio-worker@trainer.service", shown, re.MULTILINE)


def test_a_dry_run_of_the_machine_itself_asks_for_no_rights() -> None:
    command = [INSTALLER, "--dry-run", "--profile", "minimal"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    steps = [line for line in shown.splitlines() if line.startswith("+ ")]
    assert any(step.endswith("systemd-sysusers /etc/sysusers.d/mistudio.conf") for step in steps)
    assert any("write /etc/mistudio/mistudio.env (mode 640, owner root:mistudio)" in step for step in steps)
    assert any("systemctl --quiet enable mistudio-worker@all.service" in step for step in steps)


def test_units_name_the_prefix(staging: Staging) -> None:
    staging.install("--prefix", "/srv/mesh")
    commands = [
        line
        for unit in staging.units.glob("*.service")
        for line in unit.read_text().splitlines()
        if line.startswith("ExecStart=")
    ]
    assert len(commands) == 3
    assert all(command.startswith("ExecStart=/srv/mesh/bin/") for command in commands)


def test_uninstalling_leaves_settings_only(staging: Staging) -> None:
    staging.install("--profile", "full", "--scale", "extractor=3")
    shown = staging.install("--uninstall")
    files = {path for path, (mode, _, _) in staging.snapshot().items() if stat.S_ISREG(mode) or stat.S_ISLNK(mode)}
    assert files == {"etc/mistudio/mistudio.env", "etc/mistudio/nats.conf"}
    assert "to remove these as well, all data included: rm -r /etc/mistudio" in shown
    staging.install("--uninstall")


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--profile", "nope"], 2, "there is no profile 'nope'; choose one of minimal, full, datasets, training"),
        (["--scale", "trainer=2"], 2, "profile minimal has no process 'trainer' to scale; it has worker"),
        (["--profile"], 2, "install.sh: --profile needs a value"),
        (["--force"], 2, "install.sh: there is no option --force; see --help"),
        (["--prefix", "opt/mesh"], 2, "install.sh: --prefix must be an absolute path of letters, digits and . _ + -"),
        (["--prefix", "/opt/%n"], 2, "install.sh: --prefix must be an absolute path of letters, digits and . _ + -"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    staging: Staging, options: list[str], code: int, sentence: str
) -> None:
    done = staging.run(*options)
    assert (done.returncode, done.stderr) == (code, f"{sentence}\n")
    assert not staging.root.exists()


def test_a_prefix_that_the_services_cannot_see_is_refused() -> None:
    command = [INSTALLER, "--dry-run", "--prefix", "/home/me/mesh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("install.sh: the services cannot see /home/me/mesh ")


def test_an_old_python_is_refused(staging: Staging, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = staging.run(PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr == (
        f"install.sh: Python 3.11 or newer is needed and {old} is Python 3.9.2: set PYTHON to a newer one\n"
    )


def test_the_installer_asks_a_bare_python_for_the_profiles(staging: Staging) -> None:
    bare = f"{sys.base_prefix}/bin/python3"
    done = staging.run("--profile", "training", PYTHON=bare)
    assert done.returncode == 0, done.stderr
    assert staging.workers == {"trainer", "extractor"}


def test_the_installer_is_clean_shell() -> None:
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    done = subprocess.run([shellcheck, *SYSTEMD.glob("*.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
