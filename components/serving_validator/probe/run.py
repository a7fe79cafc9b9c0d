"""What the probe does from beginning to end."""

from __future__ import annotations

import faulthandler
import json
import time
from pathlib import Path

from . import checks, measures
from .asking import ASK
from .session import Session, line


def main(request_path: str, report_path: str) -> None:
    """Reads the request, and writes the report."""
    request = json.loads(Path(request_path).read_text())
    # Should the process that started this one die, nobody else would end it.
    faulthandler.dump_traceback_later(request["timeout_seconds"] + 10, exit=True)
    session = Session(request)
    run(session)
    session.report |= {"memory_mb": measures.memory_mb(), "cpu_seconds": time.process_time()}
    Path(report_path).write_text(json.dumps(session.report))


def run(session: Session) -> None:
    """Loads, asks and measures, as far as that goes."""
    if not session.load() or not session.read_reference():
        return
    checks.weights(session)
    for name in session.signatures:
        try:
            ASK[name](session)
        except Exception as error:
            # An answer of an unexpected kind; the other signatures are asked all the same.
            session.found("answer", name, "the requests", line(error), "answers of the documented kind")
    measures.warmup(session)
    if not session.report["findings"]:
        for name in session.signatures:
            measures.latency(session, name)
