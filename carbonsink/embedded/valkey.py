"""An own Redis or Valkey: a broker and cache that keeps nothing on disk."""

import signal
import subprocess
from functools import partial

import redis

from carbonsink.embedded import binaries, children, server
from carbonsink.embedded.binaries import Binaries
from carbonsink.embedded.places import Place
from carbonsink.embedded.server import Server

NAME = "Redis"
STOP_SIGNALS = ((signal.SIGTERM, 10.0),)


def start(place: Place) -> Server:
    """Start the server with a new random password and check that ours is the one answering.

    Raises EmbeddedError.
    """
    chosen = binaries.usable(binaries.redis(), place)
    log = place.log("redis")
    server.shorten(log)
    for _ in range(server.PORT_TRIES):
        port = server.free_port()
        running = _launch(port, chosen, place)
        try:
            answering = server.wait_until_ready(running.child, partial(_process_id, running.url))
            if answering == running.child.pid:
                return running
        except BaseException:
            running.stop()
            raise
        running.stop()
        if not server.port_is_taken(port):
            break
    raise server.did_not_start(NAME, log)


def _launch(port: int, chosen: Binaries, place: Place) -> Server:
    folder = place.own_folder("redis")
    password = server.new_password()
    settings = (
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\n"
        'save ""\nappendonly no\nmaxmemory-policy noeviction\ndaemonize no\n'
    )
    log = place.log("redis")
    with log.open("ab") as output:
        child = children.spawn([chosen.path(), "-"], log=output, user=place.user, cwd=folder, stdin=subprocess.PIPE)
    # By standard input, since everybody on the machine can read a command line.
    if child.stdin:
        child.stdin.write(settings.encode())
        child.stdin.close()
    name = NAME if chosen.program == "redis-server" else "Valkey"
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return Server(name, chosen.version, "REDIS_URL", url, child, log, STOP_SIGNALS)


def _process_id(url: str) -> int | None:
    """The process that answers on this address, if it takes our password."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            client.ping()
            return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None
