"""The page is one file, and whatever is in it is text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from components.report.content import gather
from components.report.page import plain, render
from components.report.sections import report
from tests.components.report import made
from tests.components.report.test_sections import facts


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


@pytest.fixture
def page(tmp_path) -> str:
    changed = {made.SCRIPT: (made.TURNED, made.CONTROL)}
    run = facts("failed", made.SCRIPT, f"{made.SCRIPT} {made.TURNED} {made.CONTROL}", changed=changed)
    return render(made.SCRIPT, [report(gather(made.outputs(tmp_path), 4.0), run)])


def test_titles_cannot_be_more_than_text(page):
    elements = Elements(page)
    assert sum(tag == "script" for tag, _ in elements.tags) == 3
    assert made.SCRIPT not in page
    data = json.loads(elements.scripts[0])
    assert any(f"{made.SCRIPT} (1999)" in str(one) for one in data)  # it is there, as data
    assert "</" not in elements.scripts[0]


def test_nothing_unseen_is_left(page):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]", page)
    assert plain({"a": ["\u202ex", "\ud800", 1, None]}) == {"a": ["\ufffdx", "\ufffd", 1, None]}


def test_the_page_asks_for_nothing(page):
    elements = Elements(page)
    assert not [tag for tag, of in elements.tags if tag in ("link", "img", "iframe", "base") or "src" in of]
    assert all((of.get("href") or "").startswith("#") for tag, of in elements.tags if tag == "a")
    policy = [of["content"] for tag, of in elements.tags if of.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]
    assert "sourceMappingURL" not in page


def test_every_plot_has_an_alternative_text_and_its_numbers(page):
    elements = Elements(page)
    plots = [of for tag, of in elements.tags if tag == "canvas"]
    assert len(plots) > 15
    assert all(of["role"] == "img" and len(of["aria-label"] or "") > 20 for of in plots)
    data = json.loads(elements.scripts[0])
    drawn = [int(of["data-chart"] or "") for of in plots if "data-chart" in of]
    assert all(data[place]["type"] in ("bar", "line", "scatter") for place in drawn)
    assert page.count("<summary>Numbers") == len(drawn)


def test_what_is_near_what_can_be_read_without_the_map(page):
    assert "<summary>The 4 most rated movies and what is near them</summary>" in page


def test_links_lead_to_a_section_each(page):
    elements = Elements(page)
    ids = [of["id"] for _, of in elements.tags if "id" in of]
    assert len(ids) == len(set(ids))
    assert {(of["href"] or "")[1:] for tag, of in elements.tags if tag == "a"} <= set(ids)


def test_two_runs_stand_beside_each_other(tmp_path):
    whole = report(gather(made.outputs(tmp_path), 4.0), facts(), "One")
    other = report(gather({}, 4.0), facts("failed", "DataGate", "too few"), "Other")
    page = render("ml", [whole, other])
    assert 'class="columns-2"' in page
    assert "<h1>One</h1>" in page
    assert "<h1>Other</h1>" in page
    assert (
        page.count("This run has none.") == len(whole.sections) - 1
    )  # the other has but a section on the run
