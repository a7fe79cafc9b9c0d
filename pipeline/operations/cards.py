"""The model card of a model that a person pushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from components.pusher import card
from components.pusher.versions import Marker
from components.shared.artifacts import BLESSING, EXAMPLE_GEN, RANKING_EVALUATOR
from pipeline.config import PipelineConfig
from pipeline.state.runs import Artifact, Run


def of_run(config: PipelineConfig, run: Run, model: Artifact) -> Callable[[Marker], Mapping[str, str]]:
    """What `versions.push` calls for the card of a run's model."""
    made = {
        key: run.nodes[node].output(key)
        for node, key in ((EXAMPLE_GEN, "examples"), (RANKING_EVALUATOR, "ranking"), (BLESSING, "report"))
        if node in run.nodes
    }
    uris = {key: one.uri for key, one in made.items() if one}
    examples = made.get("examples")
    return card.writer(
        model.properties,
        examples.properties if examples else {},
        config.data.described,
        uris.get("ranking", ""),
        uris.get("report", ""),
    )
