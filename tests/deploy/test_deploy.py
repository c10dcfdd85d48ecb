"""What lies in deploy/ is well formed, names commands that there are, and its lines do what they say."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.deploy.yaml_part import read_yaml

from comporta.cli.app import commands
from comporta.ledger.postgres_address import Address

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
ROOT = DEPLOY.parent
FILES = ("comporta.service", "supervisor.conf", "Dockerfile", "compose.yaml", "nssm.cmd", "task-scheduler.cmd")


def text(name: str) -> str:
    """Return the text of a file."""
    return (DEPLOY / name).read_text("utf-8")


def unit() -> list[tuple[str, str]]:
    """Return the lines of the unit as key and value; a key may come several times."""
    lines = [line for line in text("comporta.service").splitlines() if "=" in line and not line.startswith("#")]
    return [(line.partition("=")[0], line.partition("=")[2]) for line in lines]


def compose() -> Any:  # noqa: ANN401  whatever stands there
    """Return the compose file."""
    return read_yaml(text("compose.yaml"))


def called(name: str) -> list[str]:
    """Return the commands of ours that a file calls, without the options."""
    if name == "Dockerfile":
        return [" ".join(json.loads(found)) for found in re.findall(r"^CMD (\[.*\])$", text(name), re.MULTILINE)]
    if name == "compose.yaml":
        return [" ".join(compose()["services"]["comporta"]["command"])]
    code = "\n".join(line for line in text(name).splitlines() if not re.match(r"\s*(#|;|@rem)", line))
    return re.findall(r'[/\\]comporta(?:\.exe)?"? ([a-z]+(?: --[a-z-]+)*)', code)


@pytest.mark.parametrize("name", FILES)
def test_every_command_is_one_of_ours(name: str) -> None:
    """With options that it has."""
    group = commands()
    found = called(name)

    assert found
    for line in found:
        command, *options = line.split()
        known = {option for parameter in group.commands[command].params for option in parameter.opts}
        assert set(options) <= known


def test_the_unit_waits_to_be_told_and_watches() -> None:
    """Type=notify with a watchdog, a stop that is longer than ours takes, and nothing it may not do."""
    told = dict(unit())

    assert (told["Type"], told["KillSignal"], told["Restart"]) == ("notify", "SIGTERM", "always")
    assert told["WatchdogSec"] == "3min"
    assert int(told["TimeoutStopSec"]) >= 10
    assert told["ProtectSystem"] == "strict"
    assert "LoadCredential" in text("comporta.service")


def test_systemd_finds_the_unit_well(tmp_path: Path) -> None:
    """Its own check, where it is there; the program is this one."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not there")
    program = shutil.which("true")
    (tmp_path / "comporta.service").write_text(
        text("comporta.service").replace("/opt/comporta/bin/comporta", str(program)), encoding="utf-8"
    )
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / "comporta.service")], capture_output=True, text=True, check=False
    )

    assert [line for line in done.stderr.splitlines() if "comporta.service" in line] == []


@pytest.mark.parametrize("page", ["docs/howto/deploy.md", "docs/howto/pt-BR/deploy.md"])
def test_the_steps_for_systemd_lend_the_keys_before_they_start_it(page: str) -> None:
    """A unit that is changed after that is not read again by itself, and every run would fail for want of a key."""
    steps = (ROOT / page).read_text("utf-8").partition("systemd\n")[2].partition("\n## ")[0]

    assert steps.index("LoadCredential") < steps.index("deploy/comporta.service /etc/systemd/system/")
    assert steps.index("systemctl enable") < steps.index("systemctl daemon-reload")


def test_supervisor_ends_it_gently() -> None:
    """With TERM, and time for the batch under way."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text("supervisor.conf"))
    program = parser["program:comporta"]

    assert (program["stopsignal"], program["autorestart"]) == ("TERM", "true")
    assert int(program["stopwaitsecs"]) >= 10
    assert dict(unit())["ExecStart"] == program["command"]


@pytest.mark.parametrize("page", ["docs/howto/deploy.md", "docs/howto/pt-BR/deploy.md"])
def test_the_steps_for_supervisor_make_every_folder_that_it_names(page: str) -> None:
    """It makes none itself: without the folder of a log it refuses to read its settings."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text("supervisor.conf"))
    program = parser["program:comporta"]
    steps = (ROOT / page).read_text("utf-8").partition("## supervisord")[2].partition("\n## ")[0]
    made = {line.split()[-1]: line.split() for line in steps.splitlines() if line.startswith("sudo install -d")}
    logs = {str(PurePosixPath(program[key]).parent) for key in ("stdout_logfile", "stderr_logfile")}

    assert made.keys() >= {program["directory"], *logs}
    assert made[program["directory"]][-4:-1] == [program["user"], "-g", program["user"]]
    assert "deploy/supervisor.conf /etc/supervisor/conf.d/comporta.conf" in steps


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    """Slim, non-root, a health check, the signal that we know."""
    lines = text("Dockerfile").splitlines()
    last_user = [line for line in lines if line.startswith("USER ")][-1]

    assert last_user == "USER comporta"
    assert [line for line in lines if line.startswith("FROM ")][-1] == "FROM python:3.13-slim-trixie"
    assert "STOPSIGNAL SIGTERM" in lines
    assert "/health/live" in text("Dockerfile")
    for source in re.findall(r"^COPY (?!--)(.*) \S+$", text("Dockerfile"), re.MULTILINE):
        assert all((DEPLOY.parent / name).exists() for name in source.split())


def test_compose_has_all_that_it_names() -> None:
    """Secrets and volumes are declared; nothing of it stands in the file itself."""
    told = compose()
    services = told["services"]
    used = [secret for service in services.values() for secret in service["secrets"]]
    mounted = [volume.partition(":")[0] for service in services.values() for volume in service["volumes"]]

    assert set(used) == set(told["secrets"])
    assert {name for name in mounted if not name.startswith(".")} == set(told["volumes"])
    assert services["comporta"]["environment"] == {"COMPORTA_DATABASE": "file:/run/secrets/database_url"}
    assert services["comporta"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["comporta"]["build"]["dockerfile"] == "deploy/Dockerfile"
    assert services["database"]["image"] == "postgres:17"  # as trixie's pg_dump, which no server may be newer than


@pytest.mark.parametrize("page", ["docs/howto/deploy.md", "docs/howto/pt-BR/deploy.md"])
def test_the_steps_for_compose_write_what_its_services_can_use(page: str) -> None:
    """Its PostgreSQL has no certificate; secrets are files of the host, read by users of the containers."""
    steps = (ROOT / page).read_text("utf-8").partition("## Docker")[2].partition("\n## ")[0]
    told = compose()
    (url,) = re.findall(r'echo "(\S+@\S+)"', re.sub(r"\$\(.*\)", "secret", steps))
    address = Address.parse(url, "auto")
    server = told["services"]["database"]["environment"]
    made = set(re.findall(r"deploy/secrets/(\w+)$", steps.replace(" && ", "\n"), re.MULTILINE))

    assert made == {PurePosixPath(secret["file"]).name for secret in told["secrets"].values()}
    assert "chmod 644 deploy/secrets/*" in steps
    assert address.sslmode == "disable"
    assert url.startswith(f"postgresql://{server['POSTGRES_USER']}:secret@database/{server['POSTGRES_DB']}?")


def test_windows_rotates_the_log_of_a_service_that_never_ends() -> None:
    """Without AppRotateOnline NSSM looks at the size only when it starts the program."""
    told = dict(re.findall(r"^nssm set Comporta (AppRotate\w+) (\d+)$", text("nssm.cmd"), re.MULTILINE))

    assert told.keys() == {"AppRotateFiles", "AppRotateOnline", "AppRotateBytes"}
    assert (told["AppRotateFiles"], told["AppRotateOnline"]) == ("1", "1")


def test_the_folder_on_windows_may_have_a_space() -> None:
    """As that of Program Files has: each place where NSSM is given it stands in quotation marks."""
    code = "\n".join(line for line in text("nssm.cmd").splitlines() if not line.startswith("@"))

    assert code.count("%HOME_OF_COMPORTA%") == len(re.findall(r'"[^"\n]*%HOME_OF_COMPORTA%[^"\n]*"', code)) == 5


def test_windows_stops_it_by_the_console() -> None:
    """NSSM sends Ctrl-C first, which hands over; its patience is longer than ours takes."""
    (patience,) = re.findall(r"AppStopMethodConsole (\d+)", text("nssm.cmd"))

    assert int(patience) >= 10_000
