"""Errors that no server of ours can be made to give: Supabase's, other languages', full disks, far networks."""

import psycopg
import pytest
from psycopg import errors as states

from comporta import errors_postgres as kinds
from comporta.errors import ComportaError, DestinationBusy, DestinationRefused
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_errors import explained, is_connection_lost, is_repeatable

POOLED = Address.parse("postgresql://postgres.abc:s3cr3t@aws-0-sa-east-1.pooler.supabase.com:5432/postgres")
DIRECT = Address.parse("postgresql://postgres:s3cr3t@db.abc.supabase.co/postgres")
ELSEWHERE = Address.parse("postgresql://ana:s3cr3t@db.example.com/shop")
ENTERING = 'connection failed: connection to server at "203.0.113.7", port 5432 failed: '
KNOWN = {
    each.sqlstate: each
    for each in vars(states).values()
    if isinstance(each, type) and issubclass(each, psycopg.Error) and isinstance(each.sqlstate, str)
}


def of_state(state: str, text: str) -> psycopg.Error:
    """Return the driver's error for a state."""
    return states.lookup(state)(text)


@pytest.mark.parametrize(
    ("text", "kind", "step"),
    [
        ("FATAL:  Tenant or user not found", kinds.UnknownProject, "session pooler's address again"),
        ("FATAL:  (ENOTFOUND) tenant/user postgres.abc not found", kinds.UnknownProject, "resume it"),
        ("FATAL:  (ETENANTNOTFOUND) tenant or user not found", kinds.UnknownProject, "postgres.PROJECT"),
        ("FATAL:  (ENOIDENTIFIER) no tenant identifier provided", kinds.UnknownProject, "postgres.PROJECT"),
        ('FATAL:  password authentication failed for user "postgres"', kinds.DatabaseLoginRefused, "percent-encoded"),
        ("FATAL:  (ECIRCUITBREAKER) too many authentication errors", kinds.DatabaseLoginRefused, "wait some minutes"),
        ("FATAL:  (EADDRNOTALLOWED) address not in tenant allow_list: x", kinds.DatabaseLoginRefused, "restrictions"),
        ("FATAL:  SSL connection is required", kinds.TlsMismatch, "sslmode=require"),
        ("FATAL:  (ESSLREQUIRED) SSL connection is required for user: postgres", kinds.TlsMismatch, "sslmode=require"),
        (
            "FATAL:  MaxClientsInSessionMode: max clients reached in session mode - limited to pool_size",
            kinds.TooManyConnections,
            "pool_size",
        ),
        ("FATAL:  (EMAXCONNSESSION) max clients reached in session mode", kinds.TooManyConnections, "pool_size"),
        ("FATAL:  (EMAXCONN) max client connections reached, limit: 200", kinds.TooManyConnections, "pool_size"),
        ("FATAL:  (ECHECKOUTTIMEOUT) Pool checkout timeout.", kinds.TooManyConnections, "pool_size"),
        ("FATAL:  (EPOOLTERMINATING) pool terminating: x", kinds.DatabaseRestarting, "by itself"),
        ("FATAL:  the database system is starting up", kinds.DatabaseRestarting, "by itself"),
        ("FATAL:  the database system is not yet accepting connections", kinds.DatabaseRestarting, "by itself"),
        ('FATAL:  autenticação do tipo senha falhou para o usuário "ana"', kinds.DatabaseLoginRefused, "password"),
        ('FATAL:  banco de dados "shop" não existe', kinds.DatabaseMissing, "create the database"),
        ('FATAL:  role "ana" n�o existe', kinds.DatabaseLoginRefused, "password"),
        ("FATAL:  desculpe, muitos clientes conectados", kinds.TooManyConnections, "pool_size"),
        ('FATAL:  no pg_hba.conf entry for host "x", user "y", database "z", SSL encryption', *(None,) * 2),
        ("FATAL:  etwas ganz anderes", DestinationRefused, "Its own words"),
        ("Connection refused\n\tIs the server running?", kinds.DatabaseUnreachable, "Start the server"),
        ("SSL SYSCALL error: EOF detected", kinds.ConnectionBroken, "by itself"),
        ("Conexão recusada", kinds.DatabaseUnreachable, "firewall"),
    ],
)
def test_who_may_not_come_in_is_told_by_the_text(text: str, kind: type[ComportaError] | None, step: str | None) -> None:
    """While connecting there is no state; poolers write theirs in front, or did not always."""
    told = explained(psycopg.OperationalError(ENTERING + text), POOLED)

    assert type(told) is (kind or kinds.DatabaseLoginRefused)
    assert (step or "pg_hba.conf") in told.next_step
    assert POOLED.shown in told.message


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("XX000", "(EMAXCONNSESSION) max clients reached in session mode", kinds.TooManyConnections),
        ("XX000", "DbHandler exited. Check logs for more information", kinds.ConnectionBroken),
        ("XX000", "session-level SET statements are not allowed in transaction mode", kinds.PoolerUnrecognised),
        ("XX000", "cache lookup failed for relation 7", DestinationRefused),
        ("08P01", "server conn crashed?", kinds.ConnectionBroken),
        ("08006", "whatever", kinds.ConnectionBroken),
        ("57P05", "terminating connection due to idle-session timeout", kinds.ConnectionBroken),
        ("57P02", "terminating connection because of crash of another server process", kinds.DatabaseRestarting),
        ("57P03", "o sistema de banco de dados está iniciando", kinds.DatabaseRestarting),
        ("57014", "cancelando comando por causa do tempo de espera do comando", kinds.StatementTimedOut),
        ("53100", 'could not extend file "base/1/2": No space left on device', kinds.ServerDiskFull),
        ("53200", "out of memory", DestinationBusy),
        ("26000", 'prepared statement "_pg3_0" does not exist', kinds.PoolerUnrecognised),
        ("42P01", 'relation "comporta.cmp_run" does not exist', DestinationRefused),
        ("42501", "permission denied for schema comporta", kinds.PermissionMissing),
        ("28000", 'no pg_hba.conf entry for host "x", user "y", database "z", no encryption', kinds.TlsMismatch),
        ("23505", 'the database system is "too many connections"', DestinationRefused),
    ],
)
def test_a_state_says_more_than_the_text(state: str, text: str, kind: type[ComportaError]) -> None:
    """In any language; only where poolers share one state does the text decide."""
    told = explained(of_state(state, text), ELSEWHERE)

    assert type(told) is kind
    assert f"({text}, state {state})" in told.message
    assert told.next_step


@pytest.mark.parametrize(
    "text",
    [
        ENTERING + "Network is unreachable",
        "failed to resolve host 'db.abc.supabase.co': [Errno -5] No address associated with hostname",
        ENTERING + "Cannot assign requested address",
    ],
)
def test_a_name_that_has_ipv6_only_leads_to_the_session_pooler(text: str) -> None:
    """Most offices have IPv4 only, and the first address on Supabase's page is the one that cannot work there."""
    told = {where: explained(psycopg.OperationalError(text), where) for where in (DIRECT, ELSEWHERE, POOLED)}

    assert {type(each) for each in told.values()} == {kinds.DatabaseUnreachable}
    assert ["use the session pooler's address" in each.next_step for each in told.values()] == [True, False, False]


def test_of_several_ways_tried_the_last_is_told() -> None:
    """A name may stand for several numbers; the driver lists them all below."""
    text = (
        f"{ENTERING}Connection refused\n\tIs it running?\nMultiple connection attempts failed. All failures were:\n- x"
    )
    told = explained(psycopg.OperationalError(text), ELSEWHERE)

    assert told.message.endswith(f"nobody listens there ({ENTERING}Connection refused)")


@pytest.mark.parametrize("where", [ELSEWHERE, "postgresql://ana:s3cr3t@db.example.com/shop"], ids=["address", "text"])
def test_the_place_is_told_without_its_password(where: Address | str) -> None:
    """Also where a caller has only the text of an address."""
    told = explained(psycopg.OperationalError("the connection is closed"), where)

    assert told.message.startswith("postgresql://ana:***@db.example.com:5432/shop: the connection was lost")


def test_a_password_that_a_server_repeats_is_not_told() -> None:
    """No server should; what is told goes into logs and reports."""
    told = explained(psycopg.OperationalError('invalid option "s3cr3t"'), ELSEWHERE)

    assert "s3cr3t" not in str(told.as_json())


def test_a_row_is_not_told() -> None:
    """A message may be long; what quotes rows comes after its first line."""
    told = explained(of_state("23505", "duplicate key\nDETAIL:  Key (email)=(ana@example.com)" + "x" * 999), "the copy")

    assert told.message.startswith("the copy: the database refused")
    assert "ana@example.com" not in told.message


@pytest.mark.parametrize("state", sorted(KNOWN))
def test_only_what_kept_nothing_and_can_pass_is_run_again(state: str) -> None:
    """Every state that the driver knows, by its class: never a row's fault, never a statement's."""
    error = KNOWN[state]("some words")
    again = {"40001", "40P01", "25P03", "25P04", "53300", "57P01", "57P02", "57P03", "57P05"}

    assert is_repeatable(error) is (state in again or state.startswith("08"))
    assert is_connection_lost(error) is (state.startswith(("08", "57P0", "25P03", "25P04")) and state != "57P04")


def test_every_kind_of_error_is_said_of_something() -> None:
    """A class that no rule leads to would be documented for nothing."""
    from comporta.ledger.postgres_errors import RULES

    said = {rule.kind for rule in RULES}
    classes = {each for each in vars(kinds).values() if isinstance(each, type)}

    assert classes <= said
