"""Images built once, stacks removed in any case, and the containers' logs beside a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compose_stack import ComposeStack
from docker_engine import DockerError, docker

BUILD_SECONDS = 3600.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.compose)
            item.add_marker(pytest.mark.timeout(2 * BUILD_SECONDS))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        for stack in [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, ComposeStack)]:
            report.sections.append((f"containers of {stack.project}", stack.logs()))


@pytest.fixture(scope="session")
def images() -> None:
    """All images, built from this tree."""
    try:
        docker("compose", "version")
    except (OSError, DockerError) as error:
        pytest.fail(f"Docker with compose v2 is needed: {error}")
    stack = ComposeStack("full")
    stack.compose("--profile", "minimal", "build", "--quiet", seconds=BUILD_SECONDS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the host that the containers may read."""
    folder = tmp_path_factory.mktemp("files")
    folder.chmod(0o755)
    (folder / "notes.txt").write_text("One line of text.\n\nAnother one.\n", encoding="utf-8")
    (folder / "notes.txt").chmod(0o644)
    return folder


@pytest.fixture
def stack(profile: str, images: None, files: Path) -> Iterator[ComposeStack]:
    """A stack of the test's parameter `profile`, not yet up."""
    stack = ComposeStack(profile, files)
    try:
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def full(images: None, files: Path) -> Iterator[ComposeStack]:
    """The profile `full`, up and healthy."""
    stack = ComposeStack("full", files)
    try:
        yield stack.up()
    finally:
        stack.remove()
