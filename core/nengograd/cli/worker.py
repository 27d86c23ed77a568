"""A process that `nengograd launch` starts: runs a script, and ends at once if that fails.

Libraries through which processes compute together wait at the end of each process for all others. A
process that has failed must not: the others wait for it meanwhile.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from pathlib import Path

from .failures import own_traceback

__all__ = ["main"]


def main() -> None:
    """Run the script in ``sys.argv``, as Python would."""
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    status = _status(sys.argv[0])
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        os._exit(status)


def _status(script: str) -> int:
    """Run a script; returns its exit status."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        shown = own_traceback(error) or "".join(traceback.format_exception(error))
        print(shown, end="", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    main()
