"""Configurations: defaults, files, overrides, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.models.genre_mlp import GenreMlpConfig
from components.shared.errors import ConfigError
from pipeline.config import PipelineConfig, describe, load_config
from pipeline.yaml_text import CONFIGS, read_yaml


def test_defaults_are_movielens_100k():
    config = load_config()
    assert (config.name, config.data.path, config.objective) == (
        "ml-100k",
        "builtin:ml-100k",
        "like+interaction",
    )
    assert config.metadata_path == Path("marquee-root/ml-100k/metadata.sqlite").resolve()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_that_come_along_are_valid(path):
    assert load_config(path.stem) == load_config(str(path))


def test_overrides_are_yaml_and_the_last_one_wins(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("model:\n  name: genre_mlp\n  embedding_dim: 8\n")
    config = load_config(str(file), ["model.embedding_dim=16", "model.hidden_units=[32, 8]", "model.seed=3"])
    assert config.model == GenreMlpConfig(embedding_dim=16, hidden_units=(32, 8), seed=3)


def test_a_lone_bar_is_a_delimiter():
    assert load_config(overrides=["data.delimiter=|"]).data.delimiter == "|"


def test_an_unknown_builtin_names_those_there_are():
    with pytest.raises(ConfigError, match="builtin:ml-100k"):
        load_config(overrides=["data.path=builtin:ml-1m"]).data.source()


def test_a_model_without_a_name_is_the_default_one_of_its_question():
    config = load_config(overrides=["model.feature_l2=1", "retrieval.use_bias=false"])
    assert config.retrieval
    assert (config.model.name, config.retrieval.name) == ("two_tower", "dot_product")
    assert load_config(overrides=["model.objective=interaction"]).model.name == "dot_product"


@pytest.mark.parametrize(
    ("overrides", "models"),
    [
        (["retrieval=null"], ["two_tower", "like"]),
        (["model=null"], ["dot_product", "interaction"]),
        (["model=null", "retrieval.name=mlp"], ["mlp", "interaction"]),
        (["model.objective=interaction", "model.name=mlp"], ["mlp", "interaction"]),
    ],
)
def test_one_model_answers_where_the_other_is_off(overrides, models):
    config = load_config(overrides=overrides)
    assert [config.model.name, config.model.objective] == models
    assert config.retrieval is None
    assert config.objective == models[1]


@pytest.mark.parametrize(
    ("overrides", "problem", "where"),
    [
        (["model=null", "retrieval=null"], "No model is left to train.", "keys model and retrieval"),
        (
            ["model.objective=interaction", "retrieval.name=mlp"],
            "Two models are there to recommend.",
            "keys model and retrieval",
        ),
        (["retrieval.objective=like"], "The value of 'retrieval' is not allowed.", "--set, key retrieval"),
        (["retrieval.name=mpl"], "There is no model named 'mpl'.", "--set, key retrieval.name"),
        (["model=null", "retrieval.name=mpl"], "There is no model named 'mpl'.", "--set, key retrieval.name"),
        (["model.name=mpl"], "There is no model named 'mpl'.", "--set, key model.name"),
        (["retrieval.k=1"], "There is no key 'retrieval.k'.", "--set, key retrieval.k"),
    ],
)
def test_two_models_that_do_not_fit_are_told(overrides, problem, where):
    with pytest.raises(ConfigError) as raised:
        load_config(overrides=overrides)
    assert (raised.value.problem, raised.value.where) == (problem, where)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/my ratings/", "my-ratings"),
        ("ratings.csv", "ratings"),
        ("a/u.data", "u"),
        ("ml-1m.DAT", "ml-1m"),
        ("v1.2", "v1.2"),
        ("log.parquet.old", "log.parquet.old"),
        (".csv", "csv"),
        (".", Path.cwd().name),
        pytest.param("x" * 5000, "x" * 100, id="long"),
        ("/", "marquee"),
    ],
)
def test_the_name_follows_the_path(path, name):
    assert load_config(overrides=[f"data.path={path}"]).name == name


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["model.embeding_dim=3"], ["'model.embeding_dim'", "did you mean model.embedding_dim?"]),
        (["embedding_dim=3"], ["'embedding_dim'", "did you mean model.embedding_dim?"]),
        (["dataa.path=x"], ["'dataa'", "did you mean data?"]),
        (["data.split.metod=x"], ["'data.split.metod'", "did you mean data.split.method?"]),
        (
            ["model.name=dot_prodct"],
            ["'dot_prodct'", "one of dot_product, mlp", "did you mean 'dot_product'?"],
        ),
        (["data.split.method=user_tim"], ["'user_tim'", "user_time, time", "did you mean 'user_time'?"]),
        (["model.embedding_dim=many"], ["model.embedding_dim", "'many'", "valid integer"]),
        (["model.embedding_dim=0"], ["model.embedding_dim", "found:    0", "greater than or equal to 1"]),
        (["data.split.test_fraction=0.95"], ["data.split", "below 1"]),
        (["model=mlp"], ["'mlp'", "model.name=mlp"]),
        (["nonsense"], ["key=value"]),
        (["data.delimiter=&"], ["data.delimiter", "'&'", "quote it"]),
        (["name=.."], ["key name", "'..'", "folder under root"]),
        (["name=."], ["key name", "'.'", "folder under root"]),
        (["name=a/b"], ["key name", "'a/b'"]),
        ([f"name={'x' * 300}"], ["key name", "at most 100 characters"]),
        (['root="a\\0b"'], ["key root", "NUL"]),
        (['data={path: "a\\0b"}'], ["key data.path", "NUL"]),
        (["model={name: mlp, name: neumf}"], ["'name' is there twice"]),
        ([f"data.path={'[' * 5000}{']' * 5000}"], ["data.path", "nested too deeply"]),
    ],
)
def test_a_mistake_is_named_with_key_value_and_what_is_allowed(overrides, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    for part in [*parts, "--set"]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "part"), [("a: [", "mine.yaml:"), ("- a", "list"), ("data: {path: 3}", "data.path")]
)
def test_a_mistake_in_a_file_names_the_file(tmp_path, content, part):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert "mine.yaml" in str(caught.value)
    assert part in str(caught.value)


def test_a_missing_config_is_guessed():
    with pytest.raises(ConfigError, match="did you mean 'ml-100k'"):
        load_config("ml-10k")


def test_every_key_is_described():
    described = list(describe(PipelineConfig()))
    assert len(described) > 30
    assert all(text for _, _, text in described), [key for key, _, text in described if not text]


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        (
            "model: {name: mlp}\nroot: x\nmodel: {name: neumf}\n",
            3,
            "the key 'model' is there twice, first in line 1",
        ),
        (
            "data:\n  path: a\n  split: {method: time}\n  path: b\n",
            4,
            "the key 'path' is there twice, first in line 2",
        ),
        ("data:\n- {a: 1,\n   a: 2}\n", 3, "the key 'a' is there twice, first in line 2"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path, content, line, part):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert caught.value.where == f"{file}:{line}"
    assert caught.value.found == part


def test_anchors_and_merges_are_no_key_twice(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "model: &m {name: mlp, epochs: 3}\ntuning: {tune: false}\nmodel_: &n {<<: *m, epochs: 4}\n"
    )
    assert read_yaml(file.read_text())["model_"] == {"name": "mlp", "epochs": 4}


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="a folder"):
        load_config(str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"], ids=["long", "NUL"])
def test_what_cannot_be_a_file_is_no_configuration(name):
    with pytest.raises(ConfigError, match="There is no configuration"):
        load_config(name)


@pytest.mark.parametrize(
    "overrides",
    [
        [f"model.embedding_dim={'x' * 100_000}"],
        [f"model.{'x' * 100_000}=1"],
        ["x" * 100_000],
        [f"data.path=[{'x' * 100_000}"],
        [f"{'x' * 100_000}.y=1", f"{'x' * 100_000}.y.z=1"],
        # 9 ** 8 values where each alias is written out.
        [
            "model={"
            + "".join(f"k{i}: &a{i} [{','.join([f'*a{i - 1}' if i else '1'] * 9)}], " for i in range(8))
            + "}"
        ],
        [f"model.embedding_dim=0x{'f' * 50_000}"],
        [f"model.embedding_dim={'1' * 50_000}"],
        ["data.path=2001-99-99"],
    ],
    ids=["value", "key", "override", "YAML", "parent", "aliases", "hexadecimal", "digits", "date"],
)
def test_values_in_messages_are_cut(overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("root", ["x[a-z]", "x*", "x?/y", "x\\y", "[a/../b["])
def test_a_root_that_beam_would_take_for_a_pattern_is_refused(tmp_path, monkeypatch, root):
    """As it is written, or by the folder it is in."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="a path without") as caught:
        load_config(None, [f"root='{root}'"])
    assert "key root" in str(caught.value)
    inner = tmp_path / root
    inner.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(inner)
    with pytest.raises(ConfigError, match="a path without"):
        load_config()
    # Where the data are does not matter.
    assert load_config(None, [f"root={tmp_path}", f"data.path='{inner}'"]).pipeline_root.parent == tmp_path


@pytest.mark.parametrize("root", ["x" * 300, "x/" * 1900], ids=["name", "path"])
def test_a_root_leaves_room_for_what_is_below_it(root):
    with pytest.raises(ConfigError, match="too long") as caught:
        load_config(None, [f"root={root}"])
    assert "keys root and name" in str(caught.value)


@pytest.mark.parametrize("key", ["root", "data.path", "data.ratings_file"])
def test_a_nul_byte_in_a_path_is_refused(key):
    with pytest.raises(ConfigError, match="NUL") as caught:
        load_config(None, [f'{key}="a\\0b"'])
    assert f"key {key}" in str(caught.value)
    assert "\0" not in str(caught.value)


def test_the_name_after_a_long_path_is_one_of_a_folder():
    assert load_config(None, [f"data.path=/in/{'x' * 5000}"]).name == "x" * 100


def test_no_times_and_a_split_by_time_are_refused_when_the_configuration_is_read():
    with pytest.raises(ConfigError, match=r"data\.columns\.timestamp and data\.split\.method"):
        load_config(None, ["data.columns.timestamp=null"])
    config = load_config(None, ["data.columns.timestamp=null", "data.split.method=random"])
    assert config.data.ingest.columns.timestamp is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tests.components.models.nowhere", "No module named"),
        ("tests.components.models", "no MODEL"),
        ("dot.product", "No module named 'dot'"),
    ],
)
def test_a_model_from_outside_that_is_none(name, found):
    with pytest.raises(ConfigError) as error:
        load_config(None, [f"model.name={name}"])
    for part in ("--set, key model.name", found, "MODEL"):
        assert part in str(error.value)


def test_a_model_from_outside_has_its_own_keys():
    """By the dotted path of its module; a wrong key is told with those that it has."""
    name = "tests.components.models.outside"
    config = load_config(None, [f"model.name={name}", "model.scale=2", "model.objective=interaction"])
    assert (config.model.name, config.model.scale, type(config.model).__name__) == (name, 2.0, "ScaledConfig")
    assert ("model.scale", 2.0, "The scale at the beginning.") in list(describe(config))
    assert list(config.search_space()) == ["embedding_dim", "learning_rate", "negatives"]
    with pytest.raises(ConfigError, match=r"did you mean model\.scale"):
        load_config(None, [f"model.name={name}", "model.scal=2"])


@pytest.mark.parametrize("root", ["s3://bucket/root", "gs://bucket"])
def test_a_root_on_an_object_store_is_refused(root):
    with pytest.raises(ConfigError, match="cannot be on an object store"):
        load_config(None, [f"root={root}"])
