"""The database in the settings: which addresses are taken, from where, and what is shown of them."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from comporta.errors import BadValue, SecretMissing, SettingsError
from comporta.settings.reading import masked, read_settings
from comporta.settings.tree import PostgresSettings, Settings

URL = "postgresql://ana:p%40ss@db.example.com/shop"
SHOWN = "postgresql://ana:***@db.example.com:5432/shop"


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Write a file and read it."""
    path = tmp_path / "comporta.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, environ=environ or {})


def test_an_address_makes_the_database_postgresql(tmp_path: Path) -> None:
    """And without one it stays the SQLite file."""
    settings = read(tmp_path, f'database = "{URL}"')

    assert settings.is_postgres
    assert settings.database == URL
    assert settings.database_shown == SHOWN
    assert not read(tmp_path, "").is_postgres


def test_an_sqlite_file_is_shown_as_its_path(tmp_path: Path) -> None:
    """As it always was."""
    settings = read(tmp_path, 'database = "sqlite:///data/c.db"')

    assert settings.database_shown == str(tmp_path / "data/c.db")
    assert settings.sqlite_path == tmp_path / "data/c.db"


def test_there_is_no_sqlite_file_with_postgresql(tmp_path: Path) -> None:
    """Who asks for it all the same is told in words, not sent to a file named postgresql:."""
    settings = read(tmp_path, f'database = "{URL}"')
    with pytest.raises(SettingsError) as caught:
        _ = settings.sqlite_path

    assert caught.value.message.startswith(f"database is {SHOWN}; expected an SQLite file")


def test_the_address_may_stand_in_the_environment(tmp_path: Path) -> None:
    """So that no password stands in TOML; and beside the address people see where it is from."""
    settings = read(tmp_path, 'database = "env:DATABASE_URL"', {"DATABASE_URL": URL})

    assert settings.database == URL
    assert masked(settings)["database"] == f"{SHOWN} (from env:DATABASE_URL)"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "COMPORTA_PG_URL"])
def test_the_reference_may_stand_in_the_environment_too(variable: str, tmp_path: Path) -> None:
    """A variable that is referred to is no setting, whatever its name."""
    settings = read(tmp_path, "", {"COMPORTA_DATABASE": f"env:{variable}", variable: URL})

    assert settings.database == URL


def test_the_address_may_stand_in_a_file(tmp_path: Path) -> None:
    """Relative to comporta.toml, without the line's end."""
    (tmp_path / "url").write_text(URL + "\n", encoding="utf-8")
    settings = read(tmp_path, 'database = "file:url"')

    assert settings.database == URL
    assert masked(settings)["database"] == f"{SHOWN} (from file:{tmp_path / 'url'})"


def test_a_reference_may_lead_to_an_sqlite_file(tmp_path: Path) -> None:
    """One variable tells all machines of a company where their database is, whatever it is."""
    settings = read(tmp_path, 'database = "env:DB"', {"DB": "sqlite:///c.db"})

    assert settings.sqlite_path == tmp_path / "c.db"
    assert masked(settings)["database"] == f"sqlite:///{tmp_path.as_posix()}/c.db (from env:DB)"


@pytest.mark.parametrize("reference", ["env:DATABASE_URL", "file:nowhere"])
def test_a_reference_that_leads_nowhere_says_what_to_do(reference: str, tmp_path: Path) -> None:
    """`comporta connect` stores no database's address, so it is not named here."""
    with pytest.raises(SecretMissing) as caught:
        read(tmp_path, f'database = "{reference}"')

    assert reference.partition(":")[2] in caught.value.message
    assert "Put the database's address there" in caught.value.next_step


def test_a_wrong_address_is_told_with_the_place_it_stands_in(tmp_path: Path) -> None:
    """The reader must know which file or variable to correct; its password is not shown."""
    with pytest.raises(BadValue) as caught:
        read(tmp_path, 'database = "env:PG"', {"PG": "postgresql://ana:p@ss@db.example.com/shop"})

    said = f"{tmp_path / 'comporta.toml'}, through env:PG: database is 'postgresql://***@db.example.com/shop'; expected"
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    "value",
    [
        '"env:postgresql://ana:s3cr3t@h/d"',
        '"file:postgresql://ana:s3cr3t@h/d"',
        '"env:ana:s3cr3t@h"',
        '["postgresql://ana:s3cr3t@h/d"]',
        '{url = "s3cr3t"}',
        '"host=h password=s3cr3t"',
        '"postgresql://ana:s3cr3t"',
    ],
)
def test_what_is_no_address_is_refused_and_its_password_not_shown(value: str, tmp_path: Path) -> None:
    """An address after env: is a slip, not the name of a variable."""
    with pytest.raises(BadValue) as caught:
        read(tmp_path, f"database = {value}")

    assert "s3cr3t" not in caught.value.message
    assert "database is" in caught.value.message


def test_all_forms_are_named_where_none_was_meant(tmp_path: Path) -> None:
    """SQLite, PostgreSQL and the two references."""
    with pytest.raises(BadValue) as caught:
        read(tmp_path, 'database = "shop"')

    assert caught.value.message.endswith(
        "database is 'shop'; expected \"sqlite:///FILE\", with FILE relative to this file, or "
        '"sqlite:////FOLDER/FILE"; or "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require"; or "env:NAME" '
        'or "file:PATH" of a text with one of these'
    )


def test_no_settings_show_a_password(tmp_path: Path) -> None:
    """Neither `comporta settings`, nor the tree where it ends up in a log or a traceback."""
    settings = read(tmp_path, f'database = "{URL}"')

    assert "p%40ss" not in json.dumps(masked(settings), default=str) + repr(settings)
    assert masked(settings)["database"] == SHOWN
    assert "database_from" not in masked(settings)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("ca.crt", "{here}/ca.crt"), ("%2Fetc%2Fca.crt", "/etc/ca.crt"), ("system", "system"), ("c%26a", "{here}/c%26a")],
)
def test_a_certificate_is_found_from_the_file_that_names_it(written: str, read_as: str, tmp_path: Path) -> None:
    """Wherever the command is run; `system` is no file."""
    settings = read(tmp_path, f'database = "{URL}?sslmode=verify-full&sslrootcert={written}"')

    assert settings.database == f"{URL}?sslmode=verify-full&sslrootcert={read_as.format(here=tmp_path.as_posix())}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("public", "Supabase's Data API shows the tables in public"),
        ("graphql_public", "Supabase's Data API"),
        ("comporta", "its own tables"),
        ("pg_toast", "belong to PostgreSQL"),
        ("information_schema", "belongs to PostgreSQL"),
        ("Mirror", "a name of small letters"),
        ("my-data", "a name of small letters"),
        ("1a", "a name of small letters"),
        ("açaí", "a name of small letters"),
        ("a" * 64, "a name of small letters"),
        ("", "a name of small letters"),
    ],
)
def test_a_schema_that_is_not_ours_to_take_is_refused(name: str, said: str, tmp_path: Path) -> None:
    """The mirrored tables stand in a schema of their own, that the internet does not see."""
    with pytest.raises(BadValue, match=f"schema is '{name}'; expected .*{said}"):
        read(tmp_path, f'schema = "{name}"')


@pytest.mark.parametrize("name", ["mirror", "espelho_2", "_x", "a" * 63])
def test_a_plain_name_of_a_schema_is_taken(name: str, tmp_path: Path) -> None:
    """As it needs no quotes in the SQL that people write."""
    assert read(tmp_path, f'schema = "{name}"').schema == name


def test_the_pool_is_set_in_its_own_table(tmp_path: Path) -> None:
    """From the file and from the environment, as every key."""
    settings = read(tmp_path, '[postgres]\npool_size = 4\npooler = "session"', {"COMPORTA_POSTGRES__POOL_WAIT": "5s"})

    assert settings.postgres == PostgresSettings(
        pool_size=4, pool_wait=timedelta(seconds=5), pool_recycle=timedelta(hours=1), pooler="session"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pool_size = 1", "postgres.pool_size is 1; expected a whole number from 2 to 1000"),
        ('pool_wait = "0s"', "postgres.pool_wait is '0s'; expected a duration .*, at least 1s"),
        ('pool_recycle = "1s"', "postgres.pool_recycle is '1s'; expected a duration .*, at least 1m"),
        ('pooler = "pgbouncer"', "expected one of auto, direct, session, transaction"),
        ("pool_sise = 3", "there is no key postgres.pool_sise; did you mean postgres.pool_size?"),
    ],
)
def test_a_pool_that_cannot_work_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """A pool of one would lose the lease that it cannot renew."""
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, f"[postgres]\n{text}")


@pytest.mark.parametrize("page", ["docs/howto/use-postgresql.md", "docs/howto/use-supabase.md"])
def test_what_the_guides_tell_people_to_write_can_be_read(page: str, tmp_path: Path) -> None:
    """Every piece of comporta.toml in them, and every address, once its placeholder is filled in."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    pieces = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    addresses = re.findall(r"^(?:export DATABASE_URL=')?(postgresql://[^\s']+)", text, re.MULTILINE)
    endings = [*re.findall(r"`(\?sslmode=[^`]+)`", text), ""]
    environs = [
        {"DATABASE_URL": address.replace("[YOUR-PASSWORD]", "p") + ending}
        for address in addresses
        for ending in endings
    ]
    settings = [read(tmp_path, piece, environ) for piece in pieces for environ in environs]

    assert len(settings) >= 2
    assert all(each.is_postgres for each in settings)
