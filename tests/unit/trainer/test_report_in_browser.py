"""The training report in a real browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistudio_trainer.report import JobReport
from support.reported import reported

api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev installs")
CHROMIUM = os.environ.get("MISTUDIO_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium: install it, or name it in MISTUDIO_CHROMIUM")

PAINTED = (
    """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value)"""
)
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def report(tmp_path: Path) -> str:
    JobReport([reported(0, EVIL), reported(1, "other")]).write(tmp_path / "report.html", 0)
    return (tmp_path / "report.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_all_is_drawn_without_an_error(browser: object, report: str, scheme: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[attr-defined]
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append("a dialog"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report)
    page.wait_for_function("document.documentElement.dataset.drawn === '10'")
    page.wait_for_function("document.querySelectorAll('.plot canvas').length === 10")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    assert all(canvas.evaluate(PAINTED) for canvas in page.query_selector_all(".plot canvas"))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (said, asked) == ([], [report])
    page.close()


def test_values_are_shown_at_the_pointer_and_curves_hide(browser: object, report: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")  # type: ignore[attr-defined]
    page.goto(report)
    page.wait_for_function("document.documentElement.dataset.drawn === '10'")
    chart = page.locator("#chart-fvu")
    chart.locator(".u-over").hover(position={"x": 200, "y": 60})
    tip = chart.locator(".tip")
    tip.wait_for(state="visible")
    assert "tokens · step" in tip.inner_text()
    assert "other" in tip.inner_text()
    page.locator('tr[data-sae="1"] button').click()
    chart.locator(".u-over").hover(position={"x": 210, "y": 60})
    tip.wait_for(state="visible")
    assert "other" not in tip.inner_text()
    page.close()
