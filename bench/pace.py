"""How much of a source's limit is used when every answer takes its time, and how often the source must refuse.

A full load in 30 pages from a server that takes five requests in any second and answers each after the
latency. Nobody computes much meanwhile, so contestants run side by side, each with a server of its own. The
ideal is the least time in which so many requests can be answered. Requests that were refused count for nothing
but the time they cost.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.cases import FULL, Field
from bench.measure import Sample, Server, contestant_run, settings
from bench.registry import Contestant

LIMIT = 5
LATENCIES_S = (0.0, 0.2, 0.8)
PAGES = 30
PAGE = 50
_ACCOUNT = f'page_size = {PAGE}\nlimit = "{LIMIT}/1s"'


@dataclass(frozen=True)
class Paced:
    """What one contestant made of the limit at one latency."""

    sample: Sample

    def share(self, latency_s: float) -> float:
        """Return the ideal time as a share of the time taken."""
        ideal_s = least_s(round(self.sample.requests - self.sample.throttled), LIMIT) + latency_s
        return ideal_s / self.sample.span_s if self.sample.span_s else 0.0


def least_s(answered: int, limit: int) -> int:
    """Return the seconds from the first request to the last that a limit in any second makes necessary.

    Each comes a second or more after the one that is ``limit`` before it, so a burst can follow a burst, and the
    last of a burst costs no more than its first.

    >>> [least_s(answered, 5) for answered in (1, 5, 6, 10, 11)]
    [0, 0, 1, 1, 2]
    """
    return max(0, answered - 1) // limit


def pace(team: Field, *, latencies: Sequence[float] = LATENCIES_S, pages: int = PAGES) -> dict[float, dict[str, Paced]]:
    """Return what each contestant made of each latency."""
    found: dict[float, dict[str, Paced]] = {}
    players = [one for one in team.players(FULL) if not one.is_limit]
    for latency in latencies:
        with ThreadPoolExecutor(len(players)) as side_by_side:
            runs = {one.name: side_by_side.submit(_one, team, one, latency, pages) for one in players}
        found[latency] = {}
        for one in players:
            with team.excused(one):
                found[latency][one.name] = runs[one.name].result()
    return found


def _one(team: Field, one: Contestant, latency_s: float, pages: int) -> Paced:
    with Server(pages * PAGE - 1) as server:
        server.control("pace", limit=LIMIT, latency_s=latency_s)
        place = team.database.fresh()
        settings(place, server, account=_ACCOUNT)
        sample = contestant_run(one, "cursor", server, team.database, place, page=PAGE)
        team.database.drop(place)
    return Paced(sample)


def pace_table(found: Mapping[float, Mapping[str, Paced]], absent: Mapping[str, str]) -> str:
    """Return shares and refusals, a row for each contestant."""
    names = list(dict.fromkeys(name for paced in found.values() for name in paced))
    titles = [f"{latency * 1000:.0f} ms: share | requests | 429s" for latency in found]
    lines = [
        f"**Share of a limit of {LIMIT} requests/s** ({PAGES} pages of {PAGE} rows, by the latency of each answer)\n",
        f"| | {' | '.join(titles)} |",
        "|---" * (1 + 3 * len(found)) + "|",
    ]
    for name in names:
        cells = []
        for latency, paced in found.items():
            one = paced.get(name)
            text = (
                f"{one.share(latency):.0%} | {one.sample.requests:.0f} | {one.sample.throttled:.0f}"
                if one
                else "- | - | -"
            )
            cells.append(text)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join((*lines, *(f"\n{name}: not measured: {why}" for name, why in absent.items() if name not in names)))
