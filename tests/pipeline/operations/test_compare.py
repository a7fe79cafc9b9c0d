"""What is compared: each model under each question, in a pipeline of its own."""

from __future__ import annotations

import pytest

from components.models import MODELS
from components.shared.errors import ConfigError
from pipeline.operations import compare


def test_every_model_that_comes_along_is_asked_both_questions():
    planned = compare.plan(None, None, None, ["model.epochs=3"])
    assert list(planned) == ["like", "interaction"]
    for question, variants in planned.items():
        assert [variant.text for variant in variants] == list(MODELS)
        for variant in variants:
            model = variant.config.model
            assert (model.name, model.objective, model.epochs) == (variant.text, question, 3)


def test_it_is_one_pipeline_which_is_not_the_one_that_is_served():
    planned = compare.plan("mlp,tests.components.models.outside", None, None, ["tuning.tune=true"])
    configs = [variant.config for variants in planned.values() for variant in variants]
    assert {config.name for config in configs} == {"ml-100k-compare"}
    assert not any(config.tuning.tune for config in configs)
    assert not any(config.retrieval for config in configs)  # one model at a time
    same = [config.model_dump(exclude={"model"}) for config in configs]
    assert all(one == same[0] for one in same)


def test_the_questions_can_be_limited_and_win_over_the_configuration():
    planned = compare.plan("mlp", "like", None, ["model.objective=interaction", "model.name=neumf"])
    (variant,) = planned["like"]
    assert list(planned) == ["like"]
    assert (variant.config.model.name, variant.config.model.objective) == ("mlp", "like")


def test_what_is_set_for_retrieval_is_of_the_second_question_alone():
    of = ["model.embedding_dim=8", "model.hidden_units=[32]", "retrieval.epochs=7", "retrieval.item_item=0"]
    planned = compare.plan("dot_product,mlp", None, None, of)
    for likes, ranks in zip(*planned.values(), strict=True):
        assert likes.config.model.embedding_dim == 8
        assert (ranks.config.model.epochs, ranks.config.retrieval) == (7, None)
        assert ranks.config.model.embedding_dim != 8
        assert likes.config.model.epochs != 7
    assert planned["like"][1].config.model.hidden_units == (32,)


@pytest.mark.parametrize("in_file", [True, False])
def test_a_key_that_one_model_lacks_holds_for_the_others(in_file, tmp_path):
    file, overrides = None, ["model.hidden_units=[32]", "model.item_item=0", "model.embedding_dim=8"]
    if in_file:
        file, overrides = str(tmp_path / "mine.yaml"), ["model.item_item=0"]
        (tmp_path / "mine.yaml").write_text(
            "model: {name: mlp, hidden_units: [32], embedding_dim: 8, objective: like}\n"
        )
    planned = compare.plan("dot_product,mlp", None, file, overrides)
    for variants in planned.values():
        dot_product, mlp = (variant.config.model for variant in variants)
        assert mlp.hidden_units == (32,)
        assert dot_product.item_item == 0
        assert dot_product.embedding_dim == mlp.embedding_dim == 8


@pytest.mark.parametrize(
    ("models", "overrides", "problem", "where"),
    [
        ("dot_product,mpl", [], "no model named 'mpl'", "--models mpl"),
        ("dot_product,,mlp", [], "no model named ''", "--models "),
        ("no.such.module", [], "cannot be imported", "--models no.such.module"),
        ("components.models", [], "has no model", "--models components.models"),
        ("mlp,neumf,mlp", [], "twice", "--models mlp"),
        (None, ["model.dorpout=1"], "no key 'model.dorpout'", "dot_product, like: --set, key model.dorpout"),
        # Of none of those that are compared.
        ("mlp", ["model.item_item=1"], "no key 'model.item_item'", "mlp, like: --set, key model.item_item"),
        (None, ["model.loss=softmax"], "not allowed", "dot_product, like: --set, key model"),
        (None, ["model=3"], "has no keys below it", "dot_product, like"),
        (None, ["model.epochs"], "not of the form", "--set"),
        (None, ["lable.min_rating=3"], "no key 'lable'", "dot_product, like: --set, key lable"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_runs(models, overrides, problem, where):
    with pytest.raises(ConfigError) as error:
        compare.plan(models, None, None, overrides)
    assert problem in error.value.problem
    assert error.value.where.startswith(where)


def test_where_the_trainings_differ_but_for_the_model_is_told():
    planned = compare.plan("dot_product,two_tower,mlp", None, None, [])
    assert compare.notes(planned["like"]) == []
    assert compare.notes(planned["interaction"]) == [
        "Part of a difference may be the loss: softmax and a regression that joins it for dot_product;"
        " softmax for two_tower; binary for mlp."
    ]
    alike = compare.plan("dot_product,two_tower", "interaction", None, ["model.item_item=0"])
    assert compare.notes(alike["interaction"]) == []
