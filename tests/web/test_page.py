"""The page in a real browser: Debian's Chromium, without a window, driven by Playwright (a set of its own: tools/).

`make test` sees to both; where there is no browser these tests are skipped, and the reason stands at the end.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from served import Server, until

sys.path.append(str(Path(sys.prefix) / "tools" / "browser"))
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
SCHEMES = ("light", "dark")

# Every text that can be seen, with its contrast to what it stands on, as WCAG 2 computes it.
CONTRASTS = """() => {
  const parsed = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => parsed(color).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor, alpha = parsed(color)[3] ?? 1;
      if (alpha === 1) return color;
    }
  };
  const ratio = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const told = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("svg")) continue;
    told.push(["text", walker.currentNode.data.trim(), ratio(getComputedStyle(node).color, ground(node))]);
  }
  for (const mark of document.querySelectorAll("rect:not(.rest):not(.pending)"))
    told.push(["mark", mark.className.baseVal, ratio(getComputedStyle(mark).fill, ground(mark.closest(":not(svg *, svg)")))]);
  for (const field of document.querySelectorAll("button:not(.main), input:not([type=hidden]), select"))
    told.push(["mark", field.outerHTML, ratio(getComputedStyle(field).borderTopColor, ground(field.parentElement))]);
  return told;
}"""


def why_not() -> str | None:
    """Why there is no browser to be driven."""
    if CHROMIUM is None:
        return "there is no Chromium: apt-get install chromium, or name one: CHROMIUM=/path"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not there: `make test` installs it"
    return None


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # --no-sandbox: Chromium refuses to run as root with one. It only sees pages of our own.
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def visiting(browser: Browser, server: Server, path: str = "/", **options: Any) -> Iterator[Page]:
    """A new visitor who has opened the printed address and then `path`. Whatever the page complains of is a failure."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 700}, **options})
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(server.url) else None)
    try:
        page.goto(f"{server.url}/?token={server.about['token']}")
        assert "token" not in page.url
        if path != "/":
            page.goto(server.url + path)
        yield page
        assert complaints == []
    finally:
        context.close()


def shows(page: Page, selector: str, text: str) -> None:
    """Wait until this text is there."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text]
    )  # fmt: skip


def failed_job(server: Server, name: str) -> int:
    """A job with two failures of three, which would succeed once there is a file `mended`."""
    (server.folder / "mended").unlink(missing_ok=True)
    items = {f"{name}{n}": {"name": f"{name} {n}", "fail": n > 0} for n in range(3)}
    job: int = server.submit("describe", items, name=name).json()["id"]
    server.ended(job, "failed")
    return job


def test_progress_moves_by_itself(browser: Browser, server: Server) -> None:
    items = {f"m{n}": {"name": f"moving {n}", "wait_for": f"step{n}"} for n in range(3)}
    follow = [{"task": "serving_tasks:publish"}]
    job = server.submit("describe", items, name="moving", then=follow).json()["id"]
    with visiting(browser, server, f"/page/{job}") as page:
        page.evaluate("window.same = true")
        shows(page, "#head .figures", "0/3")
        shows(page, "#rows", "asking about moving 0")
        width = page.locator("#head .bar .done").count()
        for n in range(3):
            server.let(f"step{n}")
            shows(page, "#head .figures", f"{n + 1}/3")
        shows(page, "#head .state", "done")
        assert (width, page.locator("#head .bar .done").get_attribute("width")) == (0, "100.0")
        shows(page, "#chain", "moving > serving_tasks:publish")
        assert page.locator("#lanes rect.done").count() == 3
        assert page.locator("#runner").inner_text()
        assert page.evaluate("window.same"), "the page was loaded anew"
        page.goto(f"{server.url}/")
        shows(page, "#jobs", "moving")


def test_the_retry_button(browser: Browser, server: Server) -> None:
    job = failed_job(server, "retried")
    with visiting(browser, server, f"/page/{job}") as page:
        shows(page, "#failures", "no such city: retried")
        page.get_by_role("button", name="Retry raised").click()  # nothing is mended yet
        until(lambda: server.calls.count("retried1") == 2)
        server.ended(job, "failed")
        server.let("mended")
        page.get_by_role("button", name="Retry all 2 failed").click()
        shows(page, "#head .state", "done")
        assert page.locator("#failures h2").count() == 0
        assert server.calls.count("retried0") == 1
        page.get_by_role("link", name="retried1", exact=True).click()
        assert page.locator("#attempts tbody tr").count() == 3
        assert [cell.inner_text() for cell in page.locator("#attempts .state").all()] == ["done", "failed", "failed"]


def test_the_keyboard_alone(browser: Browser, server: Server) -> None:
    job = failed_job(server, "typed")
    with visiting(browser, server) as page:

        def tab_to(what: str) -> None:
            for _ in range(200):
                page.keyboard.press("Tab")
                focused = page.evaluate(
                    "() => [document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
                )
                assert focused[1] != "none", f"nobody sees that {focused[0]} has the focus"
                if focused[0] == what:
                    return
            raise AssertionError(f"no way to {what}")

        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "To the content"
        tab_to("name")
        page.keyboard.type("typed")
        page.wait_for_url("**/?name=typed")
        assert page.evaluate("document.activeElement.id") == "name"
        tab_to(f"job-{job}")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/page/{job}")
        server.let("mended")
        tab_to("retry")
        page.keyboard.press("Enter")
        shows(page, "#head .state", "done")
        tab_to("item-1")
        page.keyboard.press("Enter")
        page.wait_for_url("**/item?key=typed0")


def test_it_keeps_its_place(browser: Browser, server: Server) -> None:
    for number in range(45):
        server.submit("anything", {}, name=f"place {number:02}")
    with visiting(browser, server) as page:
        page.fill("#name", "PLACE")
        page.select_option("#state", "done")
        page.wait_for_url("**/?state=done&name=PLACE")
        page.wait_for_function("document.querySelectorAll('#jobs tbody tr').length === 40")
        page.evaluate("scrollTo(0, 900)")
        page.reload()
        page.wait_for_function("scrollY === 900")
        assert page.input_value("#name") == "PLACE"
        assert page.input_value("#state") == "done"
        first = page.locator("#jobs tbody a").first
        first.focus()
        page.evaluate("scrollTo(0, 900)")
        server.submit("anything", {}, name="place after")  # the list is made anew while somebody reads it
        shows(page, "#jobs tbody tr", "place after")
        assert page.evaluate("scrollY") == 900
        assert page.evaluate("document.activeElement.innerText").startswith("place 44")
        page.get_by_role("link", name="Older").click()
        shows(page, "#jobs", "place 00")
        assert page.input_value("#name") == "PLACE"


def pages(server: Server) -> list[str]:
    job = failed_job(server, "colours")
    waiting = server.submit("describe", {f"w{n}": {"name": f"w {n}", "wait_for": "colour"} for n in range(5)}).json()["id"]
    gone = server.submit("describe", {f"x{n}": {"name": f"x {n}", "wait_for": "colour"} for n in range(2)}).json()["id"]
    server.client.post(f"/jobs/{gone}/cancel")
    return ["/", f"/page/{job}", f"/page/{waiting}", f"/page/{gone}", f"/page/{job}/item?key=colours1", "/page/99999"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_contrast_holds(browser: Browser, server: Server, scheme: str) -> None:
    told, grounds = 0, set()
    with visiting(browser, server, color_scheme=scheme, reduced_motion="reduce") as page:
        for path in [each for each in pages(server) if "99999" not in each]:
            page.goto(server.url + path)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for what, name, ratio in page.evaluate(CONTRASTS):
                assert ratio >= (4.5 if what == "text" else 3.0), f"{path}: {what} {name!r} has a contrast of {ratio:.2f}"
                told += 1
    server.let("colour")
    assert told > 150
    assert grounds == {"rgb(245, 245, 242)" if scheme == "light" else "rgb(18, 19, 24)"}


def test_a_script_in_a_payload_stays_text(browser: Browser, server: Server) -> None:
    (server.folder / "mended").unlink(missing_ok=True)
    items = {f"evil {EVIL}": {"name": EVIL, "fail": True}, "fine": {"name": EVIL}}
    job = server.submit("describe", items, name=f"evil {EVIL}"[:100]).json()["id"]
    server.ended(job, "failed")
    with visiting(browser, server) as page:
        key = next(iter(items))
        for path in ("/", f"/page/{job}", f"/page/{job}?key=fine", f"/?name={EVIL}"):
            page.goto(server.url + path)
            assert "<script>window.pwned" in page.content().replace("&lt;", "<").replace("&gt;", ">")
            assert page.locator("script").count() == 1
            assert page.locator("img").count() == 0
            assert page.evaluate("window.pwned") is None
        page.goto(f"{server.url}/page/{job}")
        page.get_by_role("link", name=key).click()
        shows(page, "#payload", EVIL)
        shows(page, "#link", "live")
        assert page.evaluate("window.pwned") is None  # what the script has put there is text, too


def test_a_script_that_got_in_would_not_run(browser: Browser, server: Server) -> None:
    def put_in() -> None:
        with visiting(browser, server) as page:
            page.evaluate("""() => {
              const script = document.createElement("script");
              script.textContent = "window.pwned = 1";
              document.body.append(script);
            }""")
            assert page.evaluate("window.pwned") is None

    with pytest.raises(AssertionError, match="script-src 'self'"):  # the browser has complained of it
        put_in()


def test_without_a_script(browser: Browser, server: Server) -> None:
    job = failed_job(server, "plain")
    with visiting(browser, server, f"/page/{job}", java_script_enabled=False) as page:
        assert "no such city: plain" in page.locator("#failures").inner_text()
        server.let("mended")
        page.get_by_role("button", name="Retry all 2 failed").click()
        server.ended(job)
        page.goto(f"{server.url}/page/{job}")
        assert page.locator("#head .state").inner_text() == "done"
        page.select_option("#state", "failed")
        page.get_by_role("button", name="Filter").click()
        assert "No item fits" in page.locator("#rows").inner_text()


def test_who_is_not_known_is_asked(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Token").fill(server.about["token"])
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('h1').innerText === 'Jobs'")
    assert [cookie["httpOnly"] for cookie in context.cookies()] == [True]
    context.close()
