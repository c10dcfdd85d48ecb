"""Addresses of PostgreSQL: what is read, what is refused, and that no password is ever shown."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import comporta.core.postgres_url
from comporta.core.postgres_url import PostgresUrl, is_postgres, shown_database, split_url, without_password

PASSWORD = "s3cr3t"
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
SAID_ANYWAY = Path(comporta.core.postgres_url.__file__).read_text(encoding="utf-8")
"""A password such as "percen" stands in every message, and is not given away by it."""
SECRETS = st.text(LETTERS, min_size=6, max_size=12).filter(
    lambda text: not text.isdigit() and text not in SAID_ANYWAY and quote(text, safe="") not in SAID_ANYWAY
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("postgresql://u:p@h/d", PostgresUrl("h", "d", 5432, "u", "p")),
        ("postgres://u:p@h:6543/d", PostgresUrl("h", "d", 6543, "u", "p")),
        ("postgresql://h/d", PostgresUrl("h", "d")),
        ("postgresql://u@h/d", PostgresUrl("h", "d", user="u")),
        ("postgresql://u:@h/d", PostgresUrl("h", "d", user="u")),
        ("postgresql://u:a:b@h/d", PostgresUrl("h", "d", user="u", password="a:b")),
        ("postgresql://%75:p%40%2F%25@h/d%20e", PostgresUrl("h", "d e", user="u", password="p@/%")),
        ("postgresql://u:p+q@h/d", PostgresUrl("h", "d", user="u", password="p+q")),
        ("postgresql://u@[2001:db8::7]:5433/d", PostgresUrl("2001:db8::7", "d", 5433, "u")),
        ("postgresql://u@/d?host=/run/pg", PostgresUrl("/run/pg", "d", user="u")),
        ("postgresql://u@%2Frun%2Fpg/d", PostgresUrl("/run/pg", "d", user="u")),
        ("postgresql:///d?host=/run/pg&port=5433&user=u&password=p", PostgresUrl("/run/pg", "d", 5433, "u", "p")),
        (
            "postgresql://u@h/d?sslmode=verify-full&sslrootcert=%2Fca.crt",
            PostgresUrl("h", "d", user="u", parameters={"sslmode": "verify-full", "sslrootcert": "/ca.crt"}),
        ),
        (
            "postgresql://postgres.abc:p@aws-0-sa-east-1.pooler.supabase.com:5432/postgres",
            PostgresUrl("aws-0-sa-east-1.pooler.supabase.com", "postgres", 5432, "postgres.abc", "p"),
        ),
    ],
)
def test_an_address_is_read_as_libpq_reads_it(text: str, url: PostgresUrl) -> None:
    """Parts are percent-decoded; a plus sign is itself."""
    assert split_url(text) == url


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://u:[YOUR-PASSWORD]@h/d", "password in the place of"),
        ("postgresql://u:p@ss@h/d", "@ is %40"),
        ("postgresql://u:p/ss@h/d", "/ is %2F"),
        ("postgresql://u:p%ss@h/d", "% is %25"),
        ("postgresql://u:p ss@h/d", "spaces are percent-encoded"),
        ("postgresql://u:%ff@h/d", "UTF-8"),
        ("postgresql://u:%00@h/d", "without %00"),
        ("postgresql://u:p@h", "with the name of the database"),
        ("postgresql://u:p@h/", "with the name of the database"),
        ("postgresql:///d", "for a unix socket"),
        ("postgresql://u:p@h:0/d", "a port from 1 to 65535"),
        ("postgresql://u:p@h:65536/d", "a port from 1 to 65535"),
        ("postgresql://u:p@h,i/d", "with one host"),
        ("postgresql:///d?host=h,i", "with one host"),
        ("postgresql://h/d?sslmode=on", "sslmode one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("postgresql://h/d?sslrootcert=", "sslrootcert not empty"),
        ("postgresql://h/d?options=reference%3Dabc", "the parameter options: leave it out: poolers refuse it"),
        ("postgresql://h/d?pgbouncer=true", "nothing is prepared"),
        ("postgresql://h/d?zzz=1", "the parameter zzz: known here are sslmode, "),
        ("postgresql://h/d?z-z-z", "the parameters that it has: known here are sslmode, "),
        ("postgresql://u:p@h/d#x", "# % and spaces are percent-encoded"),
        ("postgresql:u:p@h/d", '"postgresql://USER:PASSWORD@HOST:PORT/DATABASE'),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_can(text: str, said: str) -> None:
    """The form, and what is not right with this one."""
    with pytest.raises(ValueError, match="postgresql://USER:PASSWORD@HOST") as caught:
        split_url(text)

    assert said in str(caught.value)


@given(SECRETS, st.booleans())
def test_every_password_survives_its_encoding_and_is_never_shown(password: str, is_in_query: bool) -> None:
    """Neither as it is nor percent-encoded."""
    encoded = quote(password, safe="")
    text = f"postgresql:///d?host=h&password={encoded}" if is_in_query else f"postgresql://u:{encoded}@h/d"
    url = split_url(text)

    assert url.password == password
    assert not {password, encoded} & {url.shown, repr(url), shown_database(text)}
    assert url.shown in {"postgresql://:***@h:5432/d", "postgresql://u:***@h:5432/d"}


@given(SECRETS, st.sampled_from(["postgresql://u:{}@h:{{}}/d", "postgres://u:{}.h/d", "postgresql:u:{}@h/d"]))
def test_no_password_is_shown_of_an_address_that_cannot_be_read(password: str, shape: str) -> None:
    """It may hold whatever should have been encoded; the host after the last @ is safe to show, or nothing is."""
    assume("@" in shape or "@" not in password)  # else it may be an address that can be read, of another host
    text = shape.format(password)
    with pytest.raises(ValueError, match="postgresql://USER") as caught:
        split_url(text)

    assert password not in str(caught.value)
    assert shown_database(text).rpartition("***")[2] in {"", "@h/d"}


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{PASSWORD}",
        f"postgresql://u:{PASSWORD}/d",
        f"postgresql://u:{PASSWORD}?x=1",
        f"postgresql://u:x@{PASSWORD}",
        f"postgresql://h/d?password={PASSWORD}&zzz=1",
        f"postgresql://h/d?{PASSWORD}",
        f"postgresql://h/d?password=x&{PASSWORD}",
        f"postgresql://u@h/d?passwrd={PASSWORD}",
        f"host=h user=u password={PASSWORD} dbname=d",
        f"host=h user=u password = '{PASSWORD} x' dbname=d",
        f"jdbc:postgresql://h/d?user=u&password={PASSWORD}",
        f"PGPASSWORD={PASSWORD} psql -h h",
        f"u {PASSWORD}@h",
        f"psql postgresql://u:{PASSWORD}@h/d",
        f"env:postgresql://u:{PASSWORD}@h/d",
        f"mysql://u:{PASSWORD}@h/d",
        f"pw={PASSWORD}",
    ],
)
def test_whatever_was_pasted_its_password_is_not_shown(text: str) -> None:
    """People paste a whole command, another driver's form, or half of an address."""
    said = shown_database(text)
    try:
        split_url(text)
    except ValueError as error:
        said += str(error)

    assert PASSWORD not in said


@pytest.mark.parametrize("text", ["comporta.db", "sqlite:///a@b=c.db", "C:\\data\\c.db", "postgresql://u@h:5432/d"])
def test_what_holds_no_password_is_shown_whole(text: str) -> None:
    """A person must recognise what she wrote."""
    assert shown_database(text) == text


def test_a_socket_is_shown_with_its_folder() -> None:
    """And with whatever else is not secret."""
    shown = split_url("postgresql://u:p@/d?host=/run/p+g&sslmode=disable").shown

    assert shown == "postgresql://u:***@/d?host=/run/p%2Bg&port=5432&sslmode=disable"
    assert split_url(shown).host == "/run/p+g"


def test_a_text_is_postgresql_by_its_first_word() -> None:
    """Well written or not, it is then judged as such."""
    assert [is_postgres(each) for each in ("postgres:x", "postgresql://h/d", "sqlite:///d", "postgresql+x://")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_text_without_secrets_stays_as_it_is() -> None:
    """Only what stands before an @ or after password= is hidden."""
    assert without_password("https://erp.example.com/web?a=b") == "https://erp.example.com/web?a=b"
    assert without_password("https://u:p@erp.example.com/web?a=b") == "https://***@erp.example.com/web?a=b"
