"""Ties a child process to its parent's life, so that a killed parent leaves nothing behind."""

import ctypes
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Option number of prctl(2), Linux."""


def die_with_parent() -> None:
    """For `preexec_fn`: Linux ends this process with SIGTERM when its parent is gone.

    Elsewhere it does nothing:
    what is left is then found and ended by the next `wundr up`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
