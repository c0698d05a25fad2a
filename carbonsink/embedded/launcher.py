"""A program of its own between us and a server: drops rights, ties the server to our life, becomes it.

    python -I -S launcher.py '{"parent": pid, "signal": n, "user": [uid, gid] or null, "cwd": path}' COMMAND …

It imports nothing of the project, since the unprivileged user may not be able to read the checkout: all that
is needed is loaded before the rights are dropped. The death signal is asked for after that, because Linux
forgets it whenever a process changes its user.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 126
PARENT_GONE = 125


def _drop_rights(user: list[int] | None) -> None:
    if user is None:
        return
    uid, gid = user
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _die_with(parent: int, death_signal: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        # The parent went away before the signal was asked for; nobody would ever stop this server.
        os._exit(PARENT_GONE)


def main(arguments: list[str]) -> None:
    """Become COMMAND; exits with 126 and the reason on stderr when that is impossible."""
    order = json.loads(arguments[0])
    command = arguments[1:]
    try:
        _drop_rights(order["user"])
        _die_with(order["parent"], order["signal"])
        if order["cwd"]:
            os.chdir(order["cwd"])
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(command[0], command)  # noqa: S606  the command comes from our own code, and no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error}\n")
        sys.stderr.flush()
        os._exit(CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
