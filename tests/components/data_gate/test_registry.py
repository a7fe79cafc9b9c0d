"""Each rule is one function, and what is said of it elsewhere is taken from there."""

from __future__ import annotations

import pytest

from components.data_gate import table
from components.data_gate.registry import REGISTRY, in_order, of_data
from components.data_gate.settings import RULES, DataGateSettings


def test_each_rule_of_the_settings_has_its_function():
    assert set(REGISTRY) == set(RULES)
    against = [rule.against_baseline for rule in in_order()]
    assert against == sorted(against)
    assert not REGISTRY["dominance"].against_baseline
    assert REGISTRY["drift"].against_baseline


def test_each_key_of_a_bar_belongs_to_one_rule():
    settings = DataGateSettings()
    keys = [key for of_rule in RULES.values() for key in of_rule]
    sections = {key for key in keys if "." not in key}
    wanted = {
        f"{section}.{name}"
        for section in set(DataGateSettings.model_fields) - sections - {"policy"}
        for name in type(settings.at(section)).model_fields
    }
    assert sorted(keys) == sorted(wanted | sections)


def test_a_function_of_another_name_is_no_rule():
    def dominnace(case):
        """Train rows of one user."""
        yield from ()

    with pytest.raises(ValueError, match="rule 'dominnace' needs keys"):
        of_data(dominnace)


def test_the_table_of_the_readme_is_up_to_date():
    """`python -m components.data_gate.table` writes it."""
    text = table.README.read_text()
    assert f"{table.BEGIN}\n{table.table()}{table.END}\n" in text


def test_the_table_has_the_defaults(tmp_path):
    lines = {line.split("`")[1]: line for line in table.table().splitlines() if line.startswith("| `")}
    assert set(lines) == set(RULES)
    assert lines["dominance"].endswith(
        "| one_user > 20 %; one_movie > 30 % | one_user > 5 %; one_movie > 10 % |"
    )
    assert lines["future"].endswith("| > 1 % | any |")
    assert "| `drift.*` | movie_id > 0.5; rating, genres > 0.1 |" in lines["drift"]
    path = tmp_path / "README.md"
    path.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(path)
    assert path.read_text() == f"before\n{table.BEGIN}\n{table.table()}{table.END}\nafter\n"
