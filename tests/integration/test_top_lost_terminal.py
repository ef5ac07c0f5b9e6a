"""`mistudio top` on a terminal that goes away without a word, as when it is not the controlling one."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from support.mesh import free_port


def test_top_ends_with_its_terminal() -> None:
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "MISTUDIO_GATEWAY": f"127.0.0.1:{free_port()}"}
    top = subprocess.Popen(
        [sys.executable, "-m", "mistudio.cli", "top"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with top:
        try:
            os.close(theirs)
            shown = b""
            while b"quit" not in shown:
                assert select.select([ours], [], [], 30)[0], shown
                shown += os.read(ours, 65536)
            os.close(ours)
            _, said = top.communicate(timeout=30)
        finally:
            top.kill()
    assert top.returncode == -signal.SIGHUP
    assert said == b""
