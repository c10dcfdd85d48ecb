"""tap-activecampaign from PyPI piped into the target that the other Singer measurements use.

It refuses addresses of this machine, which three lines take from it.
"""

import json
import subprocess
import sys
from pathlib import Path

WRAPPER = """\
import tap_activecampaign.client
tap_activecampaign.client.is_api_url_valid = lambda url: True
import tap_activecampaign
tap_activecampaign.main()
"""


def main(url: str, place: str, python_of_target: str) -> None:
    folder = Path(place)
    config = {"api_url": url, "api_token": "demo", "start_date": "2000-01-01T00:00:00Z", "user_agent": "bench"}
    (folder / "tap.json").write_text(json.dumps(config))
    (folder / "wrapper.py").write_text(WRAPPER)
    tap = [sys.executable, str(folder / "wrapper.py"), "--config", str(folder / "tap.json")]
    found = subprocess.run([*tap, "--discover"], capture_output=True, text=True, check=True)
    catalog = json.loads(found.stdout)
    for stream in catalog["streams"]:
        whole = next(entry for entry in stream["metadata"] if not entry["breadcrumb"])
        whole["metadata"]["selected"] = stream["stream"] == "deals"
    (folder / "catalog.json").write_text(json.dumps(catalog))
    (folder / "target.json").write_text(json.dumps({"path": f"{place}/copy.db"}))
    reading = subprocess.Popen([*tap, "--catalog", str(folder / "catalog.json")], stdout=subprocess.PIPE)
    target = [python_of_target, "-m", "bench.contestants.singer_target_sqlite", "--config", str(folder / "target.json")]
    writing = subprocess.run(target, stdin=reading.stdout, stdout=subprocess.DEVNULL, check=False)
    if reading.wait() or writing.returncode:
        raise SystemExit(f"tap and target ended with {reading.returncode} and {writing.returncode}")


if __name__ == "__main__":
    main(*sys.argv[1:])
