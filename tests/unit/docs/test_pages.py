"""What the pages say exists: commands and their options, make targets, links, files, variables."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from mistudio_runtime.settings import Settings
from support.command_lines import check
from support.pages import ROOT, Page, all_pages

PAGES = [pytest.param(page, id=str(page.path.relative_to(ROOT))) for page in all_pages()]
PROGRAMS = re.compile(r"(mistudio|make|python -m|mistudio-\w+) ")
OUTSIDE = ("http://", "https://", "mailto:")
VARIABLE = re.compile(r"\bMISTUDIO_[A-Z_]+[A-Z]")
OTHER_VARIABLES = {"MISTUDIO_CONFIG", "MISTUDIO_SAELENS_PYTHON"}

pytestmark = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complaint(line: str, capsys: pytest.CaptureFixture[str], *, mentioned: bool) -> str:
    """Returns why a command line is none, "" if it is one."""
    try:
        check(line, mentioned=mentioned)
    except click.ClickException as error:
        return f"{line}\n    {error.format_message()}"
    except AssertionError as error:
        return f"{line}\n    {error}"
    except SystemExit as error:  # argparse
        return f"{line}\n    {capsys.readouterr().err.strip()}" if error.code else ""
    return ""


def test_every_command_can_be_typed(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [complaint(line, capsys, mentioned=False) for line in page.typed()]
    named = [complaint(span, capsys, mentioned=True) for span in page.spans if PROGRAMS.match(span)]
    bad = list(filter(None, typed + named))
    assert not bad, "\n".join(bad)


def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links:
        if link.startswith(OUTSIDE):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{link}: there is no {target}"
        if anchor:
            assert anchor in Page(target).anchors, f"{link}: {target.name} has no such heading"


def test_every_file_that_is_named_is_there(page: Page) -> None:
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    named = [span for span in page.spans if re.fullmatch(rf"({tops})/[\w./-]*", span)]
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_variable_that_is_named_is_read(page: Page) -> None:
    known = {f"MISTUDIO_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for file in (ROOT / "deploy").rglob("*"):
        if file.is_file() and file.suffix != ".md":
            known |= set(VARIABLE.findall(file.read_text(encoding="utf-8")))
    assert set(VARIABLE.findall(page.text)) <= known
