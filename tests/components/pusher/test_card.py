"""The model card: what is known of a version, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace

from components.pusher import card, versions
from components.shared.artifacts import FORCED
from tests.components.pusher.test_versions import MARKER, saved_model
from tests.components.report import made

MODEL = {
    "model_name": "two_tower",
    "parameters": 84927,
    "retrieval_model_name": "dot_product",
    "min_rating": 4.0,
}
EXAMPLES = {"num_rows": 100_000, "num_users": 943}
DATA = {"path": "ratings", "terms": "as | agreed <with> them"}
PUSHED = replace(MARKER, objective="like+interaction", version="1795", oldest_timestamp=874724710)


def test_it_says_what_is_known():
    found = card.card(PUSHED, MODEL, EXAMPLES, DATA, made.METRICS, made.decision())
    assert [one["model_name"] for one in found["model"]["trained"]] == ["two_tower", "dot_product"]
    assert len(found["question"]) == 2
    assert found["data"]["ratings"] == {"rows": 100_000, "users": 943}
    assert (found["data"]["since"], found["data"]["until"]) == ("1997-09-20", "")
    assert found["metrics"]["ndcg@2"] == made.figure(0.1975)
    assert found["metrics"]["ece"] == {"value": 0.0177, "low": None, "high": None}
    assert [one["name"] for one in found["slices"]] == ["heavy", "head", made.SCRIPT]  # no user is new
    assert found["decision"]["rules"][0] == "bar: auc in words"
    assert (found["lineage"]["model"], found["lineage"]["baseline"]) == (3, 3)
    assert "Lists of 2 hold 25% of the catalogue between them." in found["limits"]


def test_it_names_the_slices_in_which_popularity_is_better():
    worse = {
        **made.METRICS,
        "models": {"candidate": made.of_model(True, 0.05), "popularity": made.of_model(False, 0.1)},
    }
    limits = card.card(PUSHED, MODEL, EXAMPLES, DATA, worse, {})["limits"]
    assert any("behind plain popularity for activity heavy: 0.0500, 0.1000" in one for one in limits)
    limits = card.card(PUSHED, MODEL, EXAMPLES, DATA, made.METRICS, {})["limits"]
    assert not any("behind plain popularity" in one for one in limits)


def test_what_is_not_known_is_left_out():
    text = card.markdown(card.card(MARKER, {}, {}, {}, {}, {}))
    assert "terms: not stated (key data.terms)" in text
    assert "None" not in text


def test_a_forced_version_says_by_whom_and_why():
    forced = replace(PUSHED, kind=FORCED, by="ann@host", reason="the demo")
    text = card.markdown(card.card(forced, MODEL, EXAMPLES, DATA, made.METRICS, made.decision(blessed=False)))
    assert "- Refused by the rules.\n- forced by ann@host: the demo" in text


def test_names_from_the_data_are_no_markup():
    text = card.markdown(card.card(PUSHED, MODEL, EXAMPLES, DATA, made.METRICS, made.decision()))
    assert made.SCRIPT not in text
    assert r"\<script\>alert(1)\</script\>" in text
    assert r"as \| agreed \<with\> them" in text
    rows = [line for line in text.splitlines() if line.startswith("| genre")]
    assert rows
    assert all(line.count(" | ") == 5 for line in rows)


def test_it_is_pushed_with_the_version_and_is_no_part_of_its_model(tmp_path):
    source, base = saved_model(tmp_path / "model"), tmp_path / "serving"
    path, marker = versions.push(source, base, PUSHED, card=card.writer(MODEL, EXAMPLES, DATA, "", ""))
    text = (path / "assets.extra" / "model_card.md").read_text()
    assert text.startswith(f"# Model card: two_tower and dot_product, version {path.name}\n")
    assert (
        json.loads((path / "assets.extra" / "model_card.json").read_text())["model"]["digest"]
        == marker.model_digest
    )
    assert versions.digest(path) == versions.digest(source)
    assert not versions.damage(path, marker.model_digest)
