"""What may never be seen in the database, whatever was done (I1-I6 of docs/explanation/coordination.md).

Each query returns the rows that break its rule. The history table is written in the transaction of each
batch, so it holds what was committed and nothing else.
"""

from collections.abc import Iterator

from tests.coordination.lease_world import KEYS_PER_PAGE, MARGIN, STREAMS, TTL, World

from comporta.core.instant import instant_text, parse_instant
from comporta.ledger.batches import coverage_of

QUERIES = {
    "I1 every committed batch is applied once": ("SELECT batch FROM history GROUP BY batch HAVING count(*) > 1"),
    "I1 commits follow one another without gap or repetition": (
        "SELECT scope, commits FROM (SELECT *, row_number() OVER (PARTITION BY scope ORDER BY seq) - 1 AS place"
        " FROM history) WHERE commits <> place UNION ALL"
        " SELECT scope, commits FROM cmp_scope s"
        " WHERE commits <> (SELECT count(*) FROM history h WHERE h.scope = s.scope)"
    ),
    "I2 a run has read what its batches held": (
        "SELECT id, read FROM cmp_run r"
        " WHERE read <> (SELECT coalesce(sum(h.read), 0) FROM history h WHERE h.run = r.id)"
    ),
    "I2 a run has written the rows that bear its name": (
        "SELECT id FROM cmp_run r WHERE"
        " inserted <> (SELECT count(*) FROM written w WHERE w.run = r.id AND kind = 'inserted') OR"
        " updated <> (SELECT count(*) FROM written w WHERE w.run = r.id AND kind = 'updated') OR"
        " read <> inserted + updated + unchanged + rejected"
    ),
    "I3 epochs of commits never fall": (
        "SELECT h.batch FROM history h JOIN history later ON later.scope = h.scope AND later.seq > h.seq"
        " WHERE later.epoch < h.epoch"
    ),
    "I3 nobody commits under an epoch that has ended": ("SELECT batch FROM history WHERE epoch <> scope_epoch"),
    "I3 every run has an epoch of its own": (
        "SELECT scope, epoch FROM cmp_run WHERE epoch IS NOT NULL GROUP BY scope, epoch HAVING count(*) > 1"
    ),
    "I4 a running run is the holder of its scope": (
        "SELECT r.id FROM cmp_run r JOIN cmp_scope s ON s.scope = r.scope"
        " WHERE r.state = 'running' AND (s.holder IS NOT r.id OR s.epoch IS NOT r.epoch)"
    ),
    "I4 a holder is a running run": (
        "SELECT s.scope FROM cmp_scope s WHERE s.holder IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM cmp_run r WHERE r.id = s.holder AND r.state = 'running')"
    ),
    "I5 at most one run is running in a scope": (
        "SELECT scope FROM cmp_run WHERE state = 'running' GROUP BY scope HAVING count(*) > 1"
    ),
}


class Broken(AssertionError):
    """An invariant does not hold."""


def check(world: World) -> None:
    """Raise ``Broken`` with the name of the first invariant that does not hold."""
    for name, query in QUERIES.items():
        found = [tuple(row) for row in world.wire.connection.execute(query)]
        if found:
            raise Broken(f"{name}: {found}")
    for problem in (*_leases(world), *(each for stream in STREAMS for each in _claims(world, stream))):
        raise Broken(problem)


def check_reaped(world: World) -> None:
    """Raise ``Broken`` if a run is still called running, right after a reap, although its lease ran out."""
    query = (
        "SELECT r.id FROM cmp_run r JOIN cmp_scope s ON s.scope = r.scope"
        " WHERE r.state = 'running' AND s.expires_at <= ?"
    )
    found = [row[0] for row in world.wire.connection.execute(query, (instant_text(world.clock.now()),))]
    if found:
        raise Broken(f"I4 no running run outlives its lease once the reaper came: {found}")


def _leases(world: World) -> Iterator[str]:
    if world.taken_alive:
        yield f"a lease is taken only when it is free or has run out: {world.taken_alive}"
    for row in world.wire.connection.execute("SELECT holder, expires_at FROM cmp_scope WHERE holder IS NOT NULL"):
        if parse_instant(row["expires_at"]) > world.last_sign[row["holder"]] + TTL:
            yield f"I4 nobody keeps another's lease alive: {row['holder']} until {row['expires_at']}"


def _claims(world: World, stream: str) -> Iterator[str]:
    connection = world.wire.connection
    ours = dict(map(tuple, connection.execute(f"SELECT id, write_date FROM model_{stream}")))
    absent = {key: stamp for key, stamp in world.records[stream].items() if ours.get(key, "") < stamp}
    for each in coverage_of(world.wire.session(), f"shop/{stream}").intervals:
        since, until = instant_text(each.since), instant_text(each.until)
        if missing := {key: stamp for key, stamp in absent.items() if since <= stamp < until}:
            yield f"I6 coverage claims nothing that is not committed: {missing} in {since} .. {until}"
        if each.until > world.source_clock - MARGIN:
            yield f"the end of a window is a clock, never a stamp: {until}"
    for row in connection.execute("SELECT since, until, position FROM cmp_pass WHERE scope = ?", (f"shop/{stream}",)):
        beyond = {
            key: stamp
            for key, stamp in absent.items()
            if row["since"] <= stamp < row["until"] and key // KEYS_PER_PAGE < int(row["position"] or 0)
        }
        if beyond:
            yield f"a resume point never lies beyond a missing page: {beyond} before page {row['position']}"
