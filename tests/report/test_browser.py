"""The page in a headless Chromium: drawn, quiet, and usable on a phone and by keyboard.

It needs ``pip install playwright`` and a Chromium on the path (``apt-get install chromium``), or playwright's own.
"""

import os
import shutil
from pathlib import Path

import pytest
from examples import REPORTS

from onnx_prelu.api import rewrite
from onnx_prelu.report.web.page import html

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.browser

MODEL = Path(__file__).parents[2] / "models" / "digits_prelu_gemm.onnx"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = {"desk": 1200, "phone": 360}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip("no Chromium is installed")
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium has none for root
        browser = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pages of reports by name, one of them of a real rewrite."""
    folder = tmp_path_factory.mktemp("pages")
    reports = {name: REPORTS[name] for name in ("rewrite", "check", "several", "many")}
    reports["real"] = rewrite(MODEL, form="mirror").report
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(html(report), encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, files):
    """Open a page by name, and see that nothing is said on the console, and nothing asked for but the page."""
    said, asked, pages = [], [], []

    def open_page(name, width=1200, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((files / f"{name}.html").as_uri())
        pages.append(page)
        return page

    yield open_page
    assert said == []
    assert len(asked) == len(pages)
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["rewrite", "check", "several", "many", "real"])
def test_it_is_drawn_and_no_wider_than_the_window(name, width, opened):
    page = opened(name, WIDTHS[width])
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    drawn = page.evaluate(
        "[...document.querySelectorAll('svg')].filter(svg => svg.checkVisibility()).map(svg => {"
        " const box = svg.getBoundingClientRect(); return [box.width, box.height] })"
    )
    assert drawn
    assert all(w > 40 and h > 5 for w, h in drawn)


OUTSIDE = """
[...document.querySelectorAll('svg')].filter(svg => svg.checkVisibility()).flatMap(svg => {
  const box = svg.getBoundingClientRect()
  return [...svg.querySelectorAll('rect, text, path')].filter(part => {
    const own = part.getBoundingClientRect()
    return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1
  }).map(part => svg.getAttribute('aria-label') + ': ' + part.outerHTML)
})
"""
OVERFLOWING = """
[...document.querySelectorAll('g.node')].filter(node => node.checkVisibility()).flatMap(node => {
  const box = node.querySelector('rect').getBoundingClientRect()
  return [...node.querySelectorAll('text')].filter(text => {
    const own = text.getBoundingClientRect()
    return own.left < box.left || own.right > box.right || own.top < box.top || own.bottom > box.bottom
  }).map(text => text.textContent)
})
"""


@pytest.mark.parametrize("name", ["rewrite", "check", "several", "real"])
def test_what_is_drawn_stays_inside(name, opened):
    page = opened(name)
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(OVERFLOWING) == []


def test_it_is_dark_where_that_is_preferred(opened):
    grounds = {opened("real", scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
               for scheme in ("light", "dark")}  # fmt: skip
    assert grounds == {"rgb(255, 255, 255)", "rgb(20, 23, 28)"}


def test_it_can_be_read_by_keyboard(opened):
    page = opened("rewrite")
    focused = "document.activeElement.textContent"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the results"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            was_open = page.evaluate("document.activeElement.parentElement.open")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open") != was_open
    assert {"A", "SUMMARY", "DIV"} <= reached
