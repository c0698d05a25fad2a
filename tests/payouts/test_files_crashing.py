"""Files whose writer is killed, or whose disk is full: the next look hands them over, as they were, once."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from payouts import tasks
from payouts.models import Attempt, Batch
from tests.payouts.filing import FileBank, states
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

# Runs `send_approved` in a process of its own, which kills itself where it calls what `WHERE` names.
KILLED = """
import os, signal, sys
import django
django.setup()
from pathlib import Path
from payouts import batches
from payouts.banks.pain001.schemas import schema

schema("pain.001.001.09")  # Read from the disk before that is forbidden.

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[1]
if where == "open":  # Committed, nothing on the disk yet.
    Path.open = die
elif where == "fsync":  # The hidden file is there, perhaps not whole.
    os.fsync = die
elif where == "rename":  # Marked as handed over, not renamed yet.
    Path.rename = die
elif where == "renamed":  # The front-end machine may have it.
    rename = Path.rename
    Path.rename = lambda *args: (rename(*args), die())
batches.send_approved("pain001")
"""


def elsewhere(file_bank: FileBank, where: str, **more: Any) -> int:
    """The exit code of a sender in another process, on this test's database and folders."""
    database = connection.settings_dict
    url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "carbonsink.settings",
        "DATABASE_URL": f"{url}/{database['NAME']}",
        "PAYOUT_BANK": "pain001",
        "PAIN001_OUT_DIR": str(file_bank.out),
        "PAIN001_DEBTOR_NAME": django_settings.PAIN001_DEBTOR_NAME,
        "PAIN001_DEBTOR_ACCOUNT": django_settings.PAIN001_DEBTOR_ACCOUNT,
        "PAIN001_DEBTOR_BANK_CODE": django_settings.PAIN001_DEBTOR_BANK_CODE,
        "FIELD_LOOKUP_KEYS": ",".join(f"{key}:{value}" for key, value in django_settings.FIELD_LOOKUP_KEYS.items()),
        "FIELD_ENCRYPTION_KEYS": ",".join(django_settings.FIELD_ENCRYPTION_KEYS),
    }
    command = [sys.executable, "-c", KILLED, where]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, **more).returncode


@pytest.mark.parametrize("where", ["open", "fsync", "rename", "renamed"])
def test_a_sender_that_is_killed_hands_its_file_over_once(file_bank: FileBank, where: str) -> None:
    file_bank.approved(300, 400)
    assert elsewhere(file_bank, where) == -signal.SIGKILL
    batch = Batch.objects.get()
    assert states() == ["sending"] * 2
    assert batch.state == ("delivered" if where.startswith("rename") else "written")
    assert (batch.name in file_bank.files()) == (where == "renamed")
    taken = file_bank.exchange()["taken"]  # The front-end machine takes what is there at once.
    assert taken == ([batch.name] if where == "renamed" else [])
    for _ in range(2):
        tasks.sweep()
        taken += file_bank.exchange()["taken"]
    assert taken == [batch.name]
    assert (file_bank.folder / "taken" / batch.name).read_bytes() == batch.data
    assert file_bank.files() == []
    tasks.sweep()
    assert states() == ["succeeded"] * 2
    assert (Batch.objects.count(), Attempt.objects.count()) == (1, 2)
    file_bank.agrees()


def test_a_full_disk_leaves_nothing_and_the_next_look_hands_over(file_bank: FileBank) -> None:
    file_bank.approved(300, 400)

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    assert elsewhere(file_bank, "nowhere", preexec_fn=small_disk) == 0
    batch = Batch.objects.get()
    assert (batch.state, states(), file_bank.files()) == ("written", ["sending"] * 2, [])
    tasks.sweep()
    assert file_bank.files() == [batch.name]
    assert Path(file_bank.out / batch.name).read_bytes() == batch.data
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["succeeded"] * 2
    file_bank.agrees()
