"""What importing the room does."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "use",
    [
        "import grpc; assert grpc.StatusCode.OK",
        "from grpc import StatusCode",
        "import grpc.aio; assert grpc.aio.Channel and grpc.StatusCode.OK",
        "from importlib.util import find_spec; assert find_spec('grpc').origin.endswith('grpc/__init__.py')",
        "from ml_metadata.metadata_store import metadata_store; assert metadata_store.grpc.RpcError",
    ],
)
def test_grpc_is_imported_when_it_is_asked_for_and_not_before(use):
    code = f"""
import sys
import pipeline.state.runs
assert "ml_metadata" in sys.modules and not [name for name in sys.modules if name.startswith("grpc.")]
{use}
import grpc
assert grpc.insecure_channel and sys.modules["grpc"].__file__.endswith("grpc/__init__.py")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
