"""Tells how a run ended: to a webhook, to a command, and to Prometheus.

One message a run. Events are `pushed`, `refused` (the model), `stopped` (by the data), `failed`, and `recovered`, the
first run that ends well after one that did not. A run that had nothing new to do sends nothing. Nothing here ends a
run: what goes wrong is returned as a warning.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.shared.errors import ConfigError, MarqueeError
from components.shared.storage import write_aside
from components.shared.tfx_internals import redacted
from pipeline.config import PipelineConfig
from pipeline.operations.outcome import ExitCode, exit_code
from pipeline.state.runs import Run

PUSHED, REFUSED, STOPPED, FAILED, RECOVERED = "pushed", "refused", "stopped", "failed", "recovered"
UNCHANGED = "unchanged"  # of which nobody is told
_OF_CODE = {ExitCode.REFUSED: REFUSED, ExitCode.STOPPED: STOPPED}
_WELL = (PUSHED, RECOVERED, UNCHANGED)
# What a run keeps for the next one, which may have recovered.
_LAST_FILE = "last-outcome.json"
_FIGURES = ("auc", "log_loss")
# Of the environment, beside what the configuration names.
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def message(
    config: PipelineConfig,
    started: datetime,
    run: Run | None,
    error: Exception | None = None,
    log: Path | None = None,
) -> dict[str, Any]:
    """What there is to tell of a run, as JSON has it.

    Args:
        config: Of the run.
        started: When, with its zone.
        run: What it came to, if it came to its end; None without an error where there was nothing to do.
        error: What ended it before.
        log: Its log.

    Returns:
        `event`, `exit_code`, `pipeline`, `host`, `started`, `seconds`, `reasons` (sentences), and where there are any:
        `log`, `run`, `rows`, `metrics` by name, `version`.
    """
    summary = run.summary() if run else {}
    if error is not None:
        code = exit_code(error) if isinstance(error, MarqueeError) else ExitCode.FAILED
        event = _OF_CODE.get(code, FAILED)
        reasons = [str(error) if isinstance(error, MarqueeError) else f"{type(error).__name__}: {error}"]
    elif run is None:
        code, event, reasons = ExitCode.DONE, UNCHANGED, []
    else:
        fit = summary.get("blessed") and summary.get("fit_for_serving", True)
        code = ExitCode.DONE if fit else ExitCode.REFUSED
        changed = run.state != "cached"
        event = REFUSED if not fit else PUSHED if changed and summary.get("version") else UNCHANGED
        reasons = [*summary.get("failures", []), *summary.get("serving_failures", [])]
    # Where nothing was run, what the last run came to still holds.
    if run is not None and event in _WELL and _last(config).get("event", PUSHED) not in _WELL:
        event = RECOVERED
    k = summary.get("primary_k")
    metrics = {name: summary[name] for name in (*_FIGURES, f"ndcg@{k}", f"recall@{k}") if name in summary}
    found = {
        "event": event,
        "exit_code": int(code),
        "pipeline": config.name,
        "host": socket.gethostname(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "reasons": reasons,
        "log": str(log) if log else None,
        "run": summary.get("run"),
        "rows": summary.get("num_rows"),
        "metrics": metrics or None,
        "version": summary.get("version"),
    }
    secrets = _secrets(config)
    return {key: _without(value, secrets) for key, value in found.items() if value is not None}


def notify(config: PipelineConfig, told: Mapping[str, Any]) -> list[str]:
    """Tells whom the configuration names, and keeps the outcome for the next run.

    Returns:
        A sentence for each that could not be told.
    """
    settings = config.notify
    last = _last(config)
    # Where there was nothing to do, what the last run came to still holds.
    stands = last.get("event", UNCHANGED) if told["event"] == UNCHANGED else told["event"]
    if stands in _WELL:
        last["succeeded"] = datetime.now(UTC).timestamp()
    # Who wants to know of pushes wants to know of the one that follows a failure.
    wanted = {*settings.on, *((RECOVERED,) if PUSHED in settings.on else ())}
    warnings = _send(config, told) if told["event"] in wanted else []
    return warnings + _tried(
        config,
        {**told, "stands": stands, "succeeded": last.get("succeeded")},
        (f"The file {settings.metrics_file}", settings.metrics_file, _measure),
        (f"The file {config.pipeline_root / _LAST_FILE}", config.pipeline_root.is_dir(), _keep),
    )


def send_test(config: PipelineConfig) -> list[str]:
    """Sends the webhook and the command a message of the event `test`; nothing is kept or measured.

    Returns:
        A sentence for each that could not be told.

    Raises:
        ConfigError: There is neither.
    """
    if not (config.notify.webhook_env or config.notify.command):
        raise ConfigError(
            "Nobody is to be told.",
            where="notify",
            expected="notify.webhook_env or notify.command",
            fix="set one, e.g. `marquee notify --set notify.webhook_env=MARQUEE_WEBHOOK`",
        )
    told = {
        "event": "test",
        "exit_code": int(ExitCode.DONE),
        "pipeline": config.name,
        "host": socket.gethostname(),
        "started": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        "seconds": 0.0,
        "reasons": ["A test by hand: no run has ended."],
    }
    return _send(config, told)


def _send(config: PipelineConfig, told: Mapping[str, Any]) -> list[str]:
    return _tried(
        config,
        told,
        (f"The webhook {_host(config)}", config.notify.webhook_env, _post),
        ("The command of notify.command", config.notify.command, _execute),
    )


def _tried(
    config: PipelineConfig,
    told: Mapping[str, Any],
    *ways: tuple[str, Any, Callable[[PipelineConfig, Mapping[str, Any]], None]],
) -> list[str]:
    """Of ways with their name and whether they are wanted: a sentence for each that fails."""
    warnings = []
    for what, wanted, tell in ways:
        if not wanted:
            continue
        try:
            tell(config, told)
        except Exception as error:
            problem = redacted(str(error) or type(error).__name__, _secrets(config))
            warnings.append(f"{what} could not be told how the run ended: {problem}")
    return warnings


def as_text(told: Mapping[str, Any]) -> str:
    """A message as people read it."""
    figures = ", ".join(f"{name} {value:.4f}" for name, value in (told.get("metrics") or {}).items())
    title = f"{told['pipeline']}: {told['event']} after {told['seconds']:.0f} s"
    lines = [title + (f", version {told['version']}" if "version" in told else "")]
    lines += [figures] if figures else []
    lines += [f"- {reason}" for reason in told["reasons"]]
    lines += [f"Log: {told['host']}:{told['log']}"] if "log" in told else []
    return "\n".join(lines)


def _post(config: PipelineConfig, told: Mapping[str, Any]) -> None:
    import requests

    settings = config.notify
    url = os.environ.get(settings.webhook_env or "", "")
    if not url:
        raise ValueError(f"the environment variable {settings.webhook_env} is not set")
    content = dict(told) if settings.webhook_format == "json" else {"text": as_text(told)}
    for attempt in (1, 2):
        try:
            answer = requests.post(
                url, json=content, timeout=settings.timeout_seconds, allow_redirects=False, stream=True
            )
            answer.close()
        except requests.Timeout:
            problem = f"no answer within {settings.timeout_seconds:g} s"
        except requests.RequestException as error:  # its text has the address
            problem = type(error).__name__
        else:
            if answer.ok and not answer.is_redirect:
                return
            problem = f"HTTP {answer.status_code}"
            if attempt == 1 and answer.status_code < 500:
                break
    raise ConnectionError(problem)


def _execute(config: PipelineConfig, told: Mapping[str, Any]) -> None:
    texts = ("event", "exit_code", "pipeline", "log", "run", "version")
    process = subprocess.Popen(
        config.notify.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{f"MARQUEE_{name.upper()}": str(told.get(name, "")) for name in texts}},
        start_new_session=True,
    )
    try:
        _, said = process.communicate(json.dumps(dict(told)), timeout=config.notify.timeout_seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise TimeoutError(f"it was ended after {config.notify.timeout_seconds:g} s") from None
    if process.returncode:
        line = (said.strip().splitlines() or [""])[-1][:200]
        raise RuntimeError(f"it ended with {process.returncode}" + (f": {line}" if line else ""))


def _measure(config: PipelineConfig, told: Mapping[str, Any]) -> None:
    """For the textfile collector of Prometheus's node_exporter."""
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()
    made: dict[str, Gauge] = {}

    def gauge(name: str, sentence: str, value: float | None, **labels: str) -> None:
        if value is None:
            return
        labels = {"pipeline": config.name, **labels}
        if name not in made:
            made[name] = Gauge(f"marquee_{name}", sentence, list(labels), registry=registry)
        made[name].labels(**labels).set(value)

    gauge("last_run_timestamp_seconds", "When the last run ended.", datetime.now(UTC).timestamp())
    gauge("last_success_timestamp_seconds", "When the last one ended well.", told.get("succeeded"))
    gauge("last_run_duration_seconds", "How long it took.", told["seconds"])
    gauge("last_run_exit_code", "Its exit code.", told["exit_code"])
    gauge("last_run_ratings", "Ratings that it read.", told.get("rows"))
    for event in (PUSHED, REFUSED, STOPPED, FAILED, RECOVERED, UNCHANGED):
        gauge("last_run_outcome", "1 for what it came to.", float(event == told["event"]), outcome=event)
    for name, value in (told.get("metrics") or {}).items():
        gauge("last_run_metric", "Metrics of its model on test.", value, metric=name)
    path = Path(config.notify.metrics_file or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)


def _keep(config: PipelineConfig, told: Mapping[str, Any]) -> None:
    kept = {"event": told["stands"], "succeeded": told["succeeded"]}
    write_aside(config.pipeline_root / _LAST_FILE, json.dumps(kept))


def _last(config: PipelineConfig) -> dict[str, Any]:
    try:
        found = json.loads((config.pipeline_root / _LAST_FILE).read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _host(config: PipelineConfig) -> str:
    """Of the webhook, without the path: who knows that may post."""
    with suppress(ValueError):  # not an address
        host = urlsplit(os.environ.get(config.notify.webhook_env or "", "")).hostname
        if host:
            return host
    return "of notify.webhook_env"


def _secrets(config: PipelineConfig) -> list[str]:
    names = (config.metadata.password_env, config.notify.webhook_env, *_SECRETS)
    return [os.environ[name] for name in names if name and os.environ.get(name)]


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, list):
        return [_without(one, secrets) for one in value]
    return value
