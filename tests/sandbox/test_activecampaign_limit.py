"""The limit, judged on a stopwatch that the test moves: no test here depends on how busy the machine is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount, get
from tests.sandbox.odoo_clients import Json, Reply, fetch

from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.meter import Meter, most_in_a_span, share_used
from comporta.sandbox.reality import Reality


@dataclass
class Stopwatch:
    """Seconds that pass when told to."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    """The server's stopwatch."""
    return Stopwatch()


@pytest.fixture
def open_limited(open_crm: OpenAccount, watch: Stopwatch) -> OpenAccount:
    """Start an account that allows five requests in any second of ``watch``."""

    def start(**options: Json) -> ActiveCampaignSandbox:
        return open_crm(**{"limit": 5, "reality": Reality(monotonic=watch), **options})

    return start


def ask_at(crm: ActiveCampaignSandbox, watch: Stopwatch, *moments: float) -> list[int]:
    """Return the status of one request at each of these moments."""
    statuses = []
    for moment in moments:
        watch.seconds = 100 + moment
        statuses.append(get(crm, "deals", {"limit": 1}).status)
    return statuses


def seen(crm: ActiveCampaignSandbox) -> dict[str, Json]:
    """Return what the limit's witness tells."""
    told: dict[str, Json] = fetch(f"{crm.url}/_stats").json["limit"]
    return told


def test_five_in_any_second_and_not_a_sixth(open_limited: OpenAccount, watch: Stopwatch) -> None:
    """A second is any second, not one of the clock's; a whole second later there is room again."""
    crm = open_limited()

    assert ask_at(crm, watch, 0.0, 0.8, 0.8, 0.9, 0.9) == [200] * 5
    assert ask_at(crm, watch, 0.99, 1.0, 1.1, 1.79, 1.8) == [429, 200, 429, 429, 200]


def test_the_server_is_the_witness(open_limited: OpenAccount, watch: Stopwatch) -> None:
    """It tells every violation with its time, the most in any second, and the longest storm of refusals."""
    crm = open_limited()
    ask_at(crm, watch, *[0.0] * 5, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0)

    assert seen(crm) == {
        "limit": 5,
        "arrivals": 14,
        "allowed": 11,
        "refused": 3,
        "violations": 3,
        "violation_times": [0.25, 0.5, 1.5],
        "most_in_a_second": 7,
        "storm_max": 2,
        "seconds": 2.0,
        "used": round(11 / 15, 4),
    }


def test_a_client_that_keeps_to_the_limit_is_seen_to_use_it_whole(open_limited: OpenAccount, watch: Stopwatch) -> None:
    """Five at once every second is all there is."""
    crm = open_limited()
    statuses = ask_at(crm, watch, *[float(second) for second in range(4) for _ in range(5)])

    assert statuses == [200] * 20
    assert (seen(crm)["violations"], seen(crm)["most_in_a_second"], seen(crm)["used"]) == (0, 5, 1.0)


def test_every_answer_tells_how_much_is_left(open_limited: OpenAccount) -> None:
    """Also the refusal."""
    crm = open_limited()
    replies = [get(crm, "deals") for _ in range(6)]

    assert {reply.headers["RateLimit-Limit"] for reply in replies} == {"5"}
    assert [reply.headers["RateLimit-Remaining"] for reply in replies] == ["4", "3", "2", "1", "0", "0"]


def test_a_wrong_key_uses_the_limit_too(open_limited: OpenAccount) -> None:
    """Whatever arrives at the account counts."""
    crm = open_limited()
    statuses = [get(crm, "deals", key="wrong").status for _ in range(6)]

    assert statuses == [403] * 5 + [429]


def refused(crm: ActiveCampaignSandbox) -> Reply:
    """Return the answer to one request too many."""
    return [get(crm, "deals") for _ in range(6)][-1]


@pytest.mark.parametrize(
    ("faults", "hint"),
    [
        ([], "1"),
        (["retry_after=30"], "30"),
        (["retry_after=none"], None),
        (["retry_after=date"], "Tue, 10 Mar 2026 12:00:02 GMT"),
    ],
)
def test_a_refusal_says_when_to_come_back_or_does_not(
    open_limited: OpenAccount, faults: list[str], hint: str | None
) -> None:
    """Seconds, a date, or nothing."""
    reply = refused(open_limited(faults=faults))

    assert (reply.status, reply.headers.get("Retry-After")) == (429, hint)


@pytest.mark.parametrize(
    ("faults", "body"),
    [
        ([], b'{"message":"Too many requests."}'),
        (["body_429=empty"], b""),
        (["body_429=html"], b"<!doctype html>\n<html lang=en>\n<title>429 Too Many Requests</title>"),
    ],
)
def test_a_refusal_has_one_of_three_bodies(open_limited: OpenAccount, faults: list[str], body: bytes) -> None:
    """JSON, nothing, or a web page."""
    assert refused(open_limited(faults=faults)).body.startswith(body)


def test_another_integration_takes_its_part(open_limited: OpenAccount, watch: Stopwatch) -> None:
    """Three of five are left; who cannot know that commits no violation, but is refused."""
    crm = open_limited(faults=["other_integration=2"])

    assert ask_at(crm, watch, 0.0, 0.0, 0.0, 0.1, 0.2, 1.0) == [200, 200, 200, 429, 429, 200]
    assert (seen(crm)["refused"], seen(crm)["violations"]) == (2, 0)


def test_an_account_throttled_to_nothing_refuses_everything(open_limited: OpenAccount, watch: Stopwatch) -> None:
    """Until the fault is taken away."""
    crm = open_limited(faults=["throttled"])

    assert ask_at(crm, watch, 0.0, 5.0, 10.0) == [429] * 3
    assert (seen(crm)["refused"], seen(crm)["violations"], seen(crm)["used"]) == (3, 0, 0.0)
    crm.faults.clear("throttled")
    assert ask_at(crm, watch, 11.0) == [200]


def test_every_account_has_a_limit_of_its_own(open_limited: OpenAccount) -> None:
    """A path before the API names an account: one at its limit takes nothing from another."""
    crm = open_limited(faults=["throttled@slow/"])
    statuses = {
        name: [get(crm, "deals", account=name).status for _ in range(6)] for name in ("", "/loja7", "/a/b", "/slow")
    }

    assert statuses.pop("/slow") == [429] * 6
    assert list(statuses.values()) == [[200] * 5 + [429]] * 3
    assert fetch(f"{crm.url}/_stats").json["limits"]["loja7"]["refused"] == 1


def test_the_limit_holds_for_clients_side_by_side(open_limited: OpenAccount) -> None:
    """Sixteen threads at one instant: five pass."""
    crm = open_limited()
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: get(crm, "deals", {"limit": 1}).status, range(40)))

    assert (statuses.count(200), statuses.count(429)) == (5, 35)
    assert seen(crm)["most_in_a_second"] == 40


def test_control_routes_cost_nothing(open_limited: OpenAccount) -> None:
    """The truth may be asked at any time."""
    crm = open_limited()

    assert [fetch(f"{crm.url}/_truth/users").status for _ in range(9)] == [200] * 9
    assert seen(crm) is None


def test_arrivals_seen_in_the_wrong_order_are_judged_by_their_times() -> None:
    """Threads may report a request that arrived a moment earlier a moment later."""
    meter = Meter(2)
    verdicts = [meter.arrive(at).is_allowed for at in (1.25, 1.0, 2.0, 2.25)]

    assert verdicts == [True, True, True, True]
    assert meter.as_json()["most_in_a_second"] == 2


@pytest.mark.parametrize(
    ("arrived", "most"),
    [([], 0), ([3.0], 1), ([0.0, 1.0, 2.0], 1), ([0.0, 0.5, 0.99, 1.2], 3), ([0.0] * 4 + [0.5] * 3, 7)],
)
def test_the_most_in_any_second(arrived: list[float], most: int) -> None:
    """Two a whole second apart are not in one second."""
    assert most_in_a_span(arrived) == most


def test_the_share_used_is_that_of_what_was_allowed_in_between() -> None:
    """Three hundred, five at once each second and a hundredth: 99 in a hundred."""
    arrived = [1.01 * (place // 5) for place in range(300)]

    assert share_used(300, arrived, 5) == pytest.approx(0.99, abs=0.001)
    assert share_used(0, [], 5) == 0.0
