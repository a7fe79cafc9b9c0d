"""What a run came to, in the exit codes that a scheduler acts on.

| code | the run | worth a retry |
|---|---|---|
| 0 | pushed a model, or had nothing new to do | |
| 1 | failed: a full disk, a crash, a missing model | yes |
| 2 | was never started: the configuration or the call is wrong | no |
| 3 | refused the model: not blessed, or not fit for serving | no, new ratings are |
| 4 | was stopped by the data | no, mended data are |
| 75 | found another one at work; EX_TEMPFAIL of sysexits.h | yes, or `--wait` |
| 130, 143 | was interrupted, by Ctrl-C or SIGTERM | yes: it takes up what had completed |
"""

from __future__ import annotations

from enum import IntEnum

from components.shared.errors import ConfigError, DataError, LockedError, MarqueeError


class ExitCode(IntEnum):
    """See the module; signals have 128 and their number."""

    DONE = 0
    FAILED = 1
    WRONG_CALL = 2
    REFUSED = 3
    STOPPED = 4
    LOCKED = 75


# The other errors are failures.
_OF_ERROR = {
    ConfigError: ExitCode.WRONG_CALL,
    DataError: ExitCode.STOPPED,
    LockedError: ExitCode.LOCKED,
}


def exit_code(error: MarqueeError) -> ExitCode:
    """That of a command which ends with an error."""
    return next((code for kind, code in _OF_ERROR.items() if isinstance(error, kind)), ExitCode.FAILED)
