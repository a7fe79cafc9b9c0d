"""What a pipeline's root is: ML Metadata, runs, the lock, recovery, repair.

ML Metadata's package imports gRPC, for a server of its own that nothing here talks to: that would take a twelfth of
`marquee status`. So gRPC is imported when it is asked for anything.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def _later(name: str) -> None:
    """Imports a module at the first attribute that is asked of it.

    Not importlib's LazyLoader: with that of Python 3.11 every further `import` of the module asks for one.
    """
    if name in sys.modules:
        return
    module = ModuleType(name)
    module.__spec__ = find_spec(name)

    def asked(attribute: str) -> Any:
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    module.__getattr__ = asked  # type: ignore[method-assign]
    sys.modules[name] = module


_later("grpc")
