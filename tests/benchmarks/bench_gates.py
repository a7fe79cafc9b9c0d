"""What the gates add to a run on MovieLens 100K, in CPU seconds of each component.

A run of the whole pipeline in this process; a component's CPU seconds are those of the process and of what it
starts (the ServingValidator's clean process), user and system. Imports are counted with the run, not with a component.

    python tests/benchmarks/bench_gates.py [--set model.name=mlp]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time

GATES = ("DataGate", "RankingEvaluator", "Blessing", "ServingValidator")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="As of marquee run.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        used, whole = measure([f"root={root}", *arguments.set])
    print(f"{'component':<24}{'CPU s':>8}")
    for component, seconds in used.items():
        print(f"{component:<24}{seconds:>8.1f}{'   gate' if component in GATES else ''}")
    gates = sum(used[gate] for gate in GATES)
    print(f"{'whole run':<24}{whole:>8.1f}")
    print(f"{'the gates':<24}{gates:>8.1f}   {gates / (whole - gates):.1%} of the run without them")


def measure(overrides: list[str]) -> tuple[dict[str, float], float]:
    """CPU seconds of each component, and of it all."""
    from pipeline.cli.console import captured
    from pipeline.config import load_config

    with captured(None):
        from pipeline.pipeline import create_pipeline
        from pipeline.runners import local

        config = load_config(None, overrides)
        config.pipeline_root.mkdir(parents=True)
        used: dict[str, float] = {}

        def observe(component: str, starts: bool) -> None:
            used[component] = cpu_seconds() - (0 if starts else used[component])

        local.run(create_pipeline(config), observe)
    return used, cpu_seconds()


def cpu_seconds() -> float:
    """What this process and those it has waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
