"""Whether parts in C can be built on this machine."""

import shutil
import sysconfig
from pathlib import Path


def can_be_built() -> bool:
    """A compiler is here, and what it needs of this Python."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    return shutil.which(compiler) is not None and headers.exists()
