"""A real browser for the pages, which records every error."""

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect, sync_playwright

TIMEOUT = 120_000  # ms; only a page that hangs waits so long, on a busy machine too
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def launched():
    """Chromium, or a skipped test where there is none."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium here: install the package chromium, or Google Chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_file(browser, path, ready: str, *, window=(1440, 900), scheme="light"):
    """Open a page from its file, and wait for the element `ready`.

    All that fails or is fetched there goes into `page.troubles`.
    """
    width, height = window
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(TIMEOUT)
    expect.set_options(timeout=TIMEOUT)
    page.troubles = []
    page.on("console", lambda message: page.troubles.append(message.text))
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("request", lambda request: page.troubles.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator(ready).first).to_be_attached()
    assert page.troubles.pop(0) == path.as_uri()
    return page


def assert_sound(page):
    assert [trouble for trouble in page.troubles if not trouble.startswith("data:")] == []
