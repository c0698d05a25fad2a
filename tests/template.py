"""A database that has just been migrated, to be copied: that takes a second instead of a quarter of a minute."""

import hashlib
import subprocess
import sys

import psycopg
from psycopg import sql

from tests.processes import ROOT


def ensure(connection: psycopg.Connection, url: str, environment: dict[str, str]) -> str:
    """The name of the template for the migrations as they are now; made, in the server of `url`, if there is none.
    Those of other migrations go."""
    template = f"template_{_fingerprint()}"
    names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    for old in sorted(name for name in names if name.startswith(("template_", "unfinished")) and name != template):
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(old)))
    if template not in names:
        connection.execute("CREATE DATABASE unfinished")
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        address = f"{url.rpartition('/')[0]}/unfinished"
        subprocess.run(command, cwd=ROOT, env=environment | {"DATABASE_URL": address}, check=True)
        connection.execute(sql.SQL("ALTER DATABASE unfinished RENAME TO {}").format(sql.Identifier(template)))
    return template


def _fingerprint() -> str:
    # Only where ours are: in hidden folders others make and remove files meanwhile.
    apps = (ROOT / name for name in ("carbonsink", "trees", "purchases", "payouts"))
    files = sorted(file for app in apps for file in app.glob("**/migrations/*.py"))
    digest = hashlib.sha256()
    for file in (*files, ROOT / "requirements-dev.lock"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
