"""A Singer tap piped into a target, as an orchestrator runs them: two processes and a state file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def target(folder: Path, database: str) -> list[str]:
    if database.startswith("sqlite"):
        config: dict[str, object] = {"path": database.removeprefix("sqlite:///")}
        command = [sys.executable, "-m", "bench.contestants.singer_target_sqlite"]
    else:
        url = urlsplit(database)
        config = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password}
        config |= {"database": url.path[1:], "default_target_schema": "bench", "use_copy": True}
        command = [str(Path(sys.executable).parent / "target-postgres")]
    (folder / "target.json").write_text(json.dumps(config))
    return [*command, "--config", str(folder / "target.json")]


def main(url: str, place: str, mode: str, database: str) -> None:
    folder = Path(place)
    (folder / "tap.json").write_text(json.dumps({"url": url}))
    tap = [sys.executable, "-m", "bench.contestants.singer_tap", "--config", str(folder / "tap.json")]
    state = folder / "state.json"
    if mode == "cursor" and state.exists():
        tap += ["--state", str(state)]
    with (folder / "states.txt").open("w") as states:
        reading = subprocess.Popen(tap, stdout=subprocess.PIPE)
        writing = subprocess.Popen(target(folder, database), stdin=reading.stdout, stdout=states)
        assert reading.stdout is not None
        reading.stdout.close()
        ended = [os.wait4(one.pid, 0) for one in (reading, writing)]
    if any(status for _, status, _ in ended):
        raise SystemExit(f"tap and target ended with {[status for _, status, _ in ended]}")
    peak = sum(usage.ru_maxrss for *_, usage in ended) / 1024
    (folder / "peak.json").write_text(json.dumps(peak))
    state.write_text((folder / "states.txt").read_text().splitlines()[-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
