"""The report in a real browser: `make test-report`. With SCREENSHOTS=folder it leaves a picture of each section there.

The pages are of real runs on a slice of MovieLens 100K, one of each outcome, and one of a run with hostile titles.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.report.content import gather
from components.report.page import render
from components.report.sections import report
from tests.components.report import made
from tests.components.report.test_sections import facts

pytestmark = pytest.mark.report
OUTCOMES = ("blessed", "refused", "stopped", "failed")
WIDE, PHONE = (1280, 900), (390, 800)


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not all(found):
        pytest.skip(
            "The report is tested in Chromium, which is not here: install chromium and chromium-driver."
        )
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="Selenium, of the extra `test`, is not installed."
    )
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def printed(browser, marquee, movielens_slice, tmp_path_factory) -> dict[str, str]:
    """What a run of each outcome printed."""
    root = tmp_path_factory.mktemp("root")
    options = [f"data.path={movielens_slice}", f"root={root}", "model.epochs=4", "evaluation.min_auc=0.55"]
    options += [f"blessing.floors.{floor}.rule=warn" for floor in ("movie_mean", "bias_logistic_regression")]
    bad = tmp_path_factory.mktemp("bad") / "ratings.csv"
    rows = [f"u{i % 9},m{i % 7},{'<b>five' if i % 2 else 4},{10**9 + i}\n" for i in range(400)]
    bad.write_text("user_id,movie_id,rating,timestamp\n" + "".join(rows))
    changed = {
        "blessed": [],
        "refused": ["evaluation.min_auc=0.99"],
        "stopped": ["data_gate.minimum.train_rows=1000000"],
        "failed": [f"data.path={bad.parent}"],
    }
    found = {}
    for outcome, more in changed.items():
        done = marquee("run", *(part for one in [*options, *more] for part in ("--set", one)))
        assert bool(done.returncode) == (outcome != "blessed"), done.stdout + done.stderr
        found[outcome] = done.stdout
    return found


@pytest.fixture(scope="module")
def pages(printed, tmp_path_factory) -> dict[str, Path]:
    """Their reports, and one with hostile titles."""
    found = {
        outcome: Path(text.splitlines()[-1].removeprefix("Report: ")) for outcome, text in printed.items()
    }
    folder = tmp_path_factory.mktemp("hostile")
    run = facts("done", made.SCRIPT, changed={made.SCRIPT: (made.TURNED, made.CONTROL)})
    content = gather(made.outputs(folder / "made"), 4.0)
    (folder / "page.html").write_text(render(made.SCRIPT, [report(content, run)]), encoding="utf-8")
    return {**found, "hostile": folder / "page.html"}


def actions(browser: Any) -> Any:
    from selenium.webdriver import ActionChains

    return ActionChains(browser)


def look(
    browser: Any, page: Path, size: tuple[int, int] = WIDE, scheme: str = "light", media: str = ""
) -> None:
    """Opens a page anew, as a screen of that size and scheme, or on paper."""
    device = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    turn(browser, scheme, media)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    settle(browser)


def turn(browser: Any, scheme: str, media: str = "") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def settle(browser: Any) -> None:
    """Waits until what was changed has been drawn."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def ink(browser: Any) -> list[int]:
    """How many points of each plot are not empty."""
    return browser.execute_script(
        """return [...document.querySelectorAll("canvas")].map((canvas) => {
             const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
             let found = 0;
             for (let i = 3; i < data.length; i += 4) found += data[i] > 0;
             return found;
           })"""
    )


def picture(browser: Any, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    for section in browser.find_elements("css selector", "header, main > section"):
        box = browser.execute_script(
            """const {x, y, width, height} = arguments[0].getBoundingClientRect();
               return {x: x + scrollX, y: y + scrollY, width, height: Math.min(height, 8000), scale: 1}""",
            section,
        )
        taken = browser.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": box}
        )
        path = Path(folder) / f"{name}-{section.get_attribute('id') or 'header'}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*OUTCOMES, "hostile"])
def test_every_plot_is_drawn_without_an_error_and_without_a_request(browser, pages, name, scheme):
    look(browser, pages[name], scheme=scheme)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"
    ]
    assert asked == [pages[name].as_uri()]
    drawn = ink(browser)
    assert len(drawn) >= (1 if name == "failed" else 5)
    assert min(drawn) > 500
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")
    picture(browser, f"{name}-{scheme}")


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_first_screen_says_what_became_of_the_run_and_why(browser, pages, printed, name):
    look(browser, pages[name], PHONE)
    verdict = browser.find_element("css selector", ".outcome")
    assert verdict.text.startswith(f"{name.capitalize()}.")
    lowest = browser.execute_script(
        "return (document.querySelector('.reasons li') ?? arguments[0]).getBoundingClientRect().top", verdict
    )
    assert lowest < PHONE[1]
    reasons = browser.find_element("css selector", ".verdict").text
    expected = {
        "refused": "the floor is 0.99",
        "stopped": "1,000,000 are the least",
        "failed": "cannot be used",
    }
    assert expected.get(name, "is blessed and pushed as version") in reasons
    if name in ("blessed", "refused"):  # the figures of the terminal
        figure = next(line for line in printed[name].splitlines() if "log-loss" in line and "lessed" in line)
        value = figure.split("log-loss ")[1][:6]
        assert f"log-loss {value}" in verdict.text


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_nothing_is_wider_than_the_screen(browser, pages, size):
    look(browser, pages["blessed"], size)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    if size == PHONE:
        picture(browser, "phone")


def test_plots_follow_the_colour_scheme_while_the_page_is_open(browser, pages):
    look(browser, pages["blessed"], scheme="light")
    colour = "return Chart.defaults.color + document.querySelector('[data-map]').chart.data.datasets[1].backgroundColor"
    light = browser.execute_script(colour)
    turn(browser, "dark")
    settle(browser)
    dark = browser.execute_script(colour)
    turn(browser, "dark", "print")
    settle(browser)
    assert dark != light
    assert browser.execute_script(colour) not in (light, dark)  # black on white
    assert min(ink(browser)) > 500


def test_it_can_be_printed(browser, pages):
    look(browser, pages["blessed"], media="print")
    assert not browser.find_element("css selector", "nav").is_displayed()
    found = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(found["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") > 3
    if os.environ.get("SCREENSHOTS"):
        (Path(os.environ["SCREENSHOTS"]) / "paper.pdf").write_bytes(pdf)


def on_the_map(browser: Any, movie: int) -> tuple[Any, int, int]:
    """The plot, and where a movie is on it from its middle."""
    plot = browser.find_element("css selector", "[data-map] canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    settle(browser)
    x, y, width, height = browser.execute_script(
        """const chart = document.querySelector("[data-map]").chart;
           for (const [place, dataset] of chart.data.datasets.entries()) {
             const at = place && dataset.data.findIndex((one) => one.movie === arguments[0]);
             if (place && at >= 0) {
               const point = chart.getDatasetMeta(place).data[at];
               return [point.x, point.y, chart.canvas.clientWidth, chart.canvas.clientHeight];
             }
           }""",
        movie,
    )
    return plot, round(x - width / 2), round(y - height / 2)


def far_out(browser: Any) -> int:
    """The movie with nothing near it: the one most to the left."""
    return browser.execute_script(
        """const points = document.querySelector("[data-map]").chart.data.datasets.slice(1).flatMap((one) => one.data);
           return points.reduce((a, b) => (b.x < a.x ? b : a)).movie"""
    )


def test_the_map_tells_titles_and_on_a_click_neighbours(browser, pages):
    look(browser, pages["blessed"])
    movie = far_out(browser)
    plot, x, y = on_the_map(browser, movie)
    pointer = actions(browser)
    pointer.move_to_element_with_offset(plot, x, y).perform()
    settle(browser)
    told = browser.execute_script(
        "return document.querySelector('[data-map]').chart.tooltip.body[0].lines[0]"
    )
    pointer.click().perform()
    found = browser.find_element("css selector", ".found")
    assert found.find_element("css selector", "h3").text == told
    neighbours = found.find_elements("css selector", "li")
    assert len(neighbours) == 8
    likeness = [float(one.text.rsplit(", ", 1)[1]) for one in neighbours]
    assert likeness == sorted(likeness, reverse=True)
    assert (
        browser.execute_script(
            "return document.querySelector('[data-map]').chart.data.datasets[0].data.length"
        )
        == 9
    )


def test_a_movie_is_found_by_the_keyboard_alone(browser, pages):
    from selenium.webdriver.common.keys import Keys

    look(browser, pages["blessed"])
    browser.find_element("css selector", ".find input").send_keys("star wars")
    assert browser.find_element("css selector", ".found p").text.startswith("1 of ")
    keys = actions(browser)
    keys.send_keys(Keys.TAB).send_keys(Keys.ENTER).perform()
    assert browser.find_element("css selector", ".found h3").text.startswith("Star Wars (1977)")
    assert len(browser.find_elements("css selector", ".found li")) == 8
    picture(browser, "found")


def test_the_keyboard_comes_to_the_content_and_to_the_numbers(browser, pages):
    from selenium.webdriver.common.keys import Keys

    look(browser, pages["blessed"])
    actions(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.text == "To the content"
    summary = browser.find_element("css selector", "summary")
    browser.execute_script("arguments[0].focus()", summary)
    actions(browser).send_keys(Keys.ENTER).perform()
    assert browser.find_element("css selector", "details table").is_displayed()


def test_hostile_titles_are_text(browser, pages):
    look(browser, pages["hostile"])
    assert browser.execute_script("return document.scripts.length") == 3
    shown = browser.find_element("css selector", "#people").text
    assert made.SCRIPT in shown
    assert "\u202e" not in browser.page_source
    browser.find_element("css selector", ".find input").send_keys("<script")
    button = browser.find_element("css selector", ".found button")
    assert button.text == f"{made.SCRIPT} (1999)"
    button.click()
    assert made.SCRIPT in browser.find_element("css selector", ".found h3").text
    assert browser.execute_script("return document.scripts.length") == 3


def test_two_runs_are_beside_each_other_and_below_each_other_on_a_phone(browser, pages, tmp_path):
    first, other = (report(gather(made.outputs(tmp_path / name), 4.0), facts(), name) for name in ("a", "b"))
    page = tmp_path / "both.html"
    page.write_text(render("ml", [first, other]), encoding="utf-8")
    tops = "return [...document.querySelectorAll('.verdict')].map((one) => one.getBoundingClientRect().top)"
    look(browser, page)
    assert len(set(browser.execute_script(tops))) == 1
    look(browser, page, PHONE)
    assert len(set(browser.execute_script(tops))) == 2


def test_a_page_is_small(pages):
    assert all(page.stat().st_size < 3e6 for page in pages.values())
