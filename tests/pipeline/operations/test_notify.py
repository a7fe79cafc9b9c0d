"""Messages of runs, received by a real server on loopback, a real command, and a real file."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import ConfigError, DataError, StorageError
from pipeline.config import PipelineConfig, load_config
from pipeline.operations.notify import as_text, message, notify, send_test
from pipeline.state.runs import Artifact, Node, Run

STARTED = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
REASON = "log-loss 0.70 is above 0.693"


class Received(ThreadingHTTPServer):
    """Keeps what is posted, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[Any] = []
        self.statuses: list[int] = []
        self.wait = 0.0


class _Handler(BaseHTTPRequestHandler):
    server: Received

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        time.sleep(self.server.wait)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Received]:
    with Received() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("WEBHOOK", f"http://127.0.0.1:{made.server_address[1]}/services/T0/secret-part")
        yield made
        made.shutdown()


def configured(tmp_path: Path, *overrides: str) -> PipelineConfig:
    config = load_config(None, [f"root={tmp_path}", "name=p", *overrides])
    config.pipeline_root.mkdir(exist_ok=True)
    return config


def ran(state: str = "done", blessed: bool = True, pushed: bool = True) -> Run:
    def node(id_: str, key: str, **properties: Any) -> Node:
        return Node(id_, state, False, {key: [Artifact(1, "", "", properties)]})

    nodes = [
        node("RatingsExampleGen", "examples", num_rows=1000),
        node("Evaluator", "evaluation", auc=0.8, log_loss=0.55),
        node("Blessing", "blessing", blessed=int(blessed)),
        node("Pusher", "pushed_model", pushed=int(pushed), pushed_version="17"),
    ]
    found = {one.id: one for one in nodes}
    report = Artifact(2, "", "", {"failures": json.dumps([] if blessed else [REASON]), "warnings": "[]"})
    found["Blessing"].outputs["report"] = [report]
    return Run("run-1", STARTED, found)


WEBHOOK = "notify.webhook_env=WEBHOOK"


def test_a_pushed_model_is_told_with_its_figures(server, tmp_path):
    config = configured(tmp_path, WEBHOOK)
    assert notify(config, message(config, STARTED, ran(), log=tmp_path / "x.log")) == []
    (body,) = server.bodies
    assert body["seconds"] > 0
    assert {
        key: body[key] for key in ("event", "exit_code", "pipeline", "run", "rows", "version", "reasons")
    } == {
        "event": "pushed",
        "exit_code": 0,
        "pipeline": "p",
        "run": "run-1",
        "rows": 1000,
        "version": "17",
        "reasons": [],
    }
    assert body["metrics"] == {"auc": 0.8, "log_loss": 0.55}
    assert body["log"].endswith("x.log")


def test_a_refused_model_is_told_with_the_reasons(server, tmp_path):
    config = configured(tmp_path, WEBHOOK)
    notify(config, message(config, STARTED, ran(blessed=False, pushed=False)))
    assert [(body["event"], body["exit_code"], body["reasons"]) for body in server.bodies] == [
        ("refused", 3, [REASON])
    ]


@pytest.mark.parametrize(
    ("error", "event", "code"),
    [
        (DataError("Row 3 is bad."), "stopped", 4),
        (StorageError("The disk is full."), "failed", 1),
        (ConfigError("A key is wrong."), "failed", 2),
        (RuntimeError("a bug"), "failed", 1),
    ],
)
def test_what_ended_a_run_is_told(server, tmp_path, error, event, code):
    config = configured(tmp_path, WEBHOOK)
    notify(config, message(config, STARTED, None, error))
    (body,) = server.bodies
    assert (body["event"], body["exit_code"]) == (event, code)
    assert str(error) in body["reasons"][0]


def test_the_first_run_that_ends_well_after_one_that_did_not_has_recovered(server, tmp_path):
    config = configured(tmp_path, WEBHOOK)
    for run, error in ((ran(), None), (None, DataError("x")), (ran(), None), (ran("cached"), None)):
        notify(config, message(config, STARTED, run, error))
    assert [body["event"] for body in server.bodies] == ["pushed", "stopped", "recovered"]


def test_only_what_is_wanted_is_told(server, tmp_path):
    config = configured(tmp_path, WEBHOOK, "notify.on=[refused]")
    for run in (ran(), ran(blessed=False, pushed=False)):
        notify(config, message(config, STARTED, run))
    assert [body["event"] for body in server.bodies] == ["refused"]


def test_slack_has_a_text(server, tmp_path):
    config = configured(tmp_path, WEBHOOK, "notify.webhook_format=text")
    notify(config, message(config, STARTED, ran(blessed=False, pushed=False), log=tmp_path / "x.log"))
    (body,) = server.bodies
    assert list(body) == ["text"]
    assert body["text"].startswith("p: refused after ")
    assert f"\n- {REASON}\n" in body["text"]
    assert body["text"].endswith("x.log")


def test_a_server_in_trouble_is_asked_twice_and_one_that_refuses_once(server, tmp_path):
    config = configured(tmp_path, WEBHOOK)
    server.statuses = [503, 200]
    assert notify(config, message(config, STARTED, ran())) == []
    server.statuses = [404, 200]
    (warning,) = notify(config, message(config, STARTED, ran()))
    assert warning == "The webhook 127.0.0.1 could not be told how the run ended: HTTP 404"
    server.statuses = [302, 302]
    assert "HTTP 302" in notify(config, message(config, STARTED, ran()))[0]
    assert len(server.bodies) == 4


def test_a_server_that_hangs_or_is_away_is_a_warning_that_does_not_tell_the_address(
    server, tmp_path, monkeypatch
):
    config = configured(tmp_path, WEBHOOK, "notify.timeout_seconds=0.2")
    server.wait = 1.0
    (hangs,) = notify(config, message(config, STARTED, ran()))
    assert "no answer within 0.2 s" in hangs
    monkeypatch.setenv("WEBHOOK", "http://127.0.0.1:9/secret-part")
    (away,) = notify(config, message(config, STARTED, ran()))
    monkeypatch.setenv("WEBHOOK", "nonsense/secret-part")
    (wrong,) = notify(config, message(config, STARTED, ran()))
    monkeypatch.delenv("WEBHOOK")
    (unset,) = notify(config, message(config, STARTED, ran()))
    assert "WEBHOOK is not set" in unset
    assert "secret-part" not in hangs + away + wrong


def test_a_command_has_the_message_on_its_input_and_in_its_environment(tmp_path):
    script = tmp_path / "told.py"
    out = tmp_path / "out"
    script.write_text(
        "import os, sys\n"
        f"open({str(out)!r}, 'w').write(os.environ['MARQUEE_EVENT'] + ' ' + os.environ['MARQUEE_EXIT_CODE']"
        " + '\\n' + sys.stdin.read())"
    )
    config = configured(tmp_path, f"notify.command=[{sys.executable}, {script}]")
    told = message(config, STARTED, ran())
    assert notify(config, told) == []
    first, rest = out.read_text().split("\n", 1)
    assert first == "pushed 0"
    assert json.loads(rest) == told


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('no such channel')", "ended with 1: no such channel"),
        ("import time; time.sleep(60)", "ended after 0.5 s"),
    ],
    ids=["fails", "hangs"],
)
def test_a_command_that_fails_or_hangs_is_a_warning(tmp_path, code, says):
    config = configured(
        tmp_path, f"notify.command=[{sys.executable}, -c, {json.dumps(code)}]", "notify.timeout_seconds=0.5"
    )
    (warning,) = notify(config, message(config, STARTED, ran()))
    assert says in warning


def test_a_command_that_is_not_there_is_a_warning(tmp_path):
    config = configured(tmp_path, "notify.command=[/no/such/program]")
    (warning,) = notify(config, message(config, STARTED, ran()))
    assert "No such file" in warning


def test_prometheus_reads_the_file(tmp_path):
    from prometheus_client.parser import text_string_to_metric_families

    path = tmp_path / "collector" / "marquee.prom"
    config = configured(tmp_path, f"notify.metrics_file={path}")
    notify(config, message(config, STARTED, ran()))
    since = time.time()
    notify(config, message(config, STARTED, None, DataError("x")))
    found = {
        (sample.name, sample.labels.get("outcome") or sample.labels.get("metric")): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    assert found["marquee_last_run_exit_code", None] == 4
    assert found["marquee_last_run_outcome", "stopped"] == 1
    assert found["marquee_last_run_outcome", "pushed"] == 0
    assert found["marquee_last_success_timestamp_seconds", None] < since
    assert list(path.parent.iterdir()) == [path]


def test_no_secret_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MARQUEE_METADATA_PASSWORD", "hunter2")
    config = configured(tmp_path, WEBHOOK)
    told = message(config, STARTED, None, DataError("cannot connect", found="postgresql://me:hunter2@db"))
    notify(config, told)
    assert "hunter2" not in json.dumps(server.bodies) + as_text(told)
    assert "me:***@db" in server.bodies[0]["reasons"][0]


def test_nothing_is_written_where_there_is_no_pipeline(tmp_path):
    config = load_config(None, [f"root={tmp_path / 'root'}"])
    assert notify(config, message(config, STARTED, None, DataError("x"))) == []
    assert not (tmp_path / "root").exists()


def test_the_command_line_tells_and_its_exit_code_stays(server, marquee, tmp_path):
    """A run that ends before anything is written; the webhook is away the second time."""
    options = [f"--set=root={tmp_path}", "--set=data.path=nowhere", f"--set={WEBHOOK}"]
    done = marquee("run", *options)
    assert done.returncode == 4
    assert [body["event"] for body in server.bodies] == ["stopped"]
    assert "does not exist" in server.bodies[0]["reasons"][0]
    server.statuses = [500, 500]
    done = marquee("run", *options)
    assert done.returncode == 4
    assert "Warning: The webhook 127.0.0.1 could not be told how the run ended: HTTP 500." in done.stderr
    assert "secret-part" not in done.stderr + marquee("config", *options).stdout


def test_a_file_that_no_collector_reads_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.prom"):
        configured(tmp_path, "notify.metrics_file=metrics.txt")


def test_nothing_to_do_after_a_refusal_has_not_recovered(server, tmp_path):
    """The refused model is no better for it; the next that is pushed has."""
    config = configured(tmp_path, WEBHOOK)
    for run in (ran(blessed=False, pushed=False), None, ran()):
        notify(config, message(config, STARTED, run))
    assert [body["event"] for body in server.bodies] == ["refused", "recovered"]


def test_nothing_to_do_after_a_refusal_is_no_success_to_prometheus(tmp_path):
    path = tmp_path / "marquee.prom"
    config = configured(tmp_path, f"notify.metrics_file={path}")
    told = []
    for run in (ran(), ran(blessed=False, pushed=False), None, ran()):
        notify(config, message(config, STARTED, run))
        (line,) = re.findall(r"^marquee_last_success.*", path.read_text(), re.MULTILINE)
        told.append(line)
    assert told[0] == told[1] == told[2] != told[3]


def test_who_wants_pushes_is_told_of_the_one_that_recovers(server, tmp_path):
    config = configured(tmp_path, WEBHOOK, "notify.on=[pushed]")
    for run, error in ((None, DataError("x")), (ran(), None)):
        notify(config, message(config, STARTED, run, error))
    assert [body["event"] for body in server.bodies] == ["recovered"]


def test_an_address_that_is_none_leaves_the_others_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WEBHOOK", "http://[secret-part")
    path = tmp_path / "marquee.prom"
    config = configured(tmp_path, WEBHOOK, f"notify.metrics_file={path}")
    (warning,) = notify(config, message(config, STARTED, ran()))
    assert path.exists()
    assert "secret-part" not in warning


def test_a_test_message_goes_to_all_whatever_they_want_and_is_not_kept(server, tmp_path):
    path = tmp_path / "marquee.prom"
    config = configured(tmp_path, WEBHOOK, "notify.on=[refused]", f"notify.metrics_file={path}")
    notify(config, message(config, STARTED, None, DataError("x")))
    path.unlink()
    assert send_test(config) == []
    assert not path.exists()
    notify(config, message(config, STARTED, ran()))
    assert [body["event"] for body in server.bodies] == ["test"]
    assert json.loads((config.pipeline_root / "last-outcome.json").read_text())["event"] == "recovered"


def test_the_command_sends_a_test_and_says_what_did_not_arrive(server, marquee, tmp_path):
    options = ["notify", f"--set=root={tmp_path}"]
    nobody = marquee(*options)
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "notify.webhook_env" in nobody.stderr
    options.append(f"--set={WEBHOOK}")
    done = marquee(*options)
    assert (done.returncode, done.stdout) == (0, "Told: the webhook.\n")
    server.statuses = [404]
    missing = marquee(*options)
    assert missing.returncode == 1
    assert "HTTP 404" in missing.stderr
    assert "secret-part" not in missing.stderr
    assert [body["event"] for body in server.bodies] == ["test", "test"]
