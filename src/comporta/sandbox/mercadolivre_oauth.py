"""The two OAuth routes: ``/authorization``, where an obliging person consents at once, and ``/oauth/token``.

Faults strike before the refresh token is used up, or after: then the answer is late, or never comes.
Fields of the token call are read from the form, and from the query, where old clients put them.
"""

from collections.abc import Callable
from functools import partial
from threading import Event
from urllib.parse import parse_qsl, urlencode

from comporta.sandbox.exchange import Answer, Plan, Request, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import bad_request, invalid_grant, oauth_error, standard
from comporta.sandbox.mercadolivre_logins import CLIENTS, OURS, Logins, Use, is_proven
from comporta.sandbox.server import FOREVER_S, Severed

TOKEN, AUTHORIZATION = "/oauth/token", "/authorization"
Form = dict[str, str]


class OAuth:
    """Answers the two routes; ``wait`` returns true when the simulator closes meanwhile."""

    def __init__(self, logins: Logins, faults: Faults, wait: Callable[[Event, float], bool]) -> None:
        self.logins = logins
        self.faults = faults
        self.closing = Event()
        self._wait = wait

    def plan(self, request: Request) -> Plan:
        """Return what will be done for one of the two routes."""
        if request.path == AUTHORIZATION:
            return Plan(partial(self._authorize, request.query), "authorization")
        form = {**request.query, **dict(parse_qsl(request.body.decode("utf-8", "replace")))}
        seller = self.logins.owner_of(form.get("refresh_token", ""), form.get("code", ""))
        label = f"{seller or 'unknown'}/oauth/token"
        uses: list[Use] = []

        def run() -> Answer:
            if request.method != "POST":
                return standard(405, "method_not_allowed", "Method not allowed")
            return self._exchange(form, label, uses)

        def left(is_whole: bool) -> None:  # noqa: FBT001  the server's callback has one fact to tell
            for use in uses:
                self.logins.settle(use, is_heard=is_whole)

        return Plan(run, label, route=TOKEN, left=left)

    def _exchange(self, form: Form, label: str, uses: list[Use]) -> Answer:
        if self.faults.happens("oauth_cut_before", label):
            raise Severed
        if self.faults.happens("oauth_500", label):
            return standard(500, "internal_server_error", "Internal server error")
        if self.faults.happens("oauth_429", label):
            return oauth_error("local_rate_limited", "too many requests", 429)
        if blocked := self.faults.strikes("oauth_refusal", label):
            code = blocked.value
            return oauth_error(code, "The application may not do this.", 403 if code == "forbidden" else 400)
        match form.get("grant_type") if (refusal := _stranger(form)) is None else None:
            case "refresh_token":
                return self._refresh(form, label, uses)
            case "authorization_code":
                return self._redeem(form)
        return refusal or oauth_error(
            "unsupported_grant_type", f"The grant type {form.get('grant_type')} is not supported"
        )

    def _refresh(self, form: Form, label: str, uses: list[Use]) -> Answer:
        if not form.get("refresh_token"):
            return oauth_error("invalid_request", "the refresh_token parameter is required")
        use = self.logins.refresh(form["refresh_token"])
        if use is None:
            return invalid_grant()
        uses.append(use)
        if self.faults.happens("oauth_cut", label):
            raise Severed
        slow = self.faults.strikes("oauth_slow", label)
        seconds = slow.number / 1000 if slow else 0.0
        if self.faults.happens("oauth_hang", label):
            self.logins.settle(use, is_heard=False)
            seconds = FOREVER_S
        if seconds and self._wait(self.closing, seconds):
            raise Severed
        return json_answer(use.pair)

    def _redeem(self, form: Form) -> Answer:
        grant = self.logins.take_code(form.get("code", ""))
        if grant is None or grant.redirect_uri != form.get("redirect_uri"):
            return invalid_grant()
        verifier = form.get("code_verifier", "")
        if bool(grant.challenge) != bool(verifier) or (not verifier and self.faults.happens("pkce_required")):
            return oauth_error("invalid_request", "code_verifier is a required parameter")
        if verifier and not is_proven(grant, verifier):
            return invalid_grant()
        return json_answer(self.logins.consent(grant.seller))

    def _denial(self) -> str | None:
        if self.faults.happens("denied"):
            return "access_denied"
        return "invalid_operator_user_id" if self.faults.happens("denied_operator") else None

    def _authorize(self, query: Form) -> Answer:
        target = query.get("redirect_uri", "")
        if query.get("client_id") not in OURS or query.get("response_type") != "code" or not target:
            return bad_request("response_type=code, client_id and redirect_uri are required")
        said = {"state": query["state"]} if "state" in query else {}
        error = self._denial()
        if error:
            said = {"error": error, **said}
        else:
            seller = query.get("seller", str(self.logins.sellers[0]))
            if not seller.isdigit() or int(seller) not in self.logins.sellers:
                return bad_request(f"there is no seller {seller}")
            challenge = query.get("code_challenge", "")
            method = query.get("code_challenge_method", "plain")
            code = self.logins.authorize(int(seller), redirect_uri=target, challenge=challenge, method=method)
            said = {"code": code, **said}
        joint = "&" if "?" in target else "?"
        return Answer(302, b"", headers={"Location": f"{target}{joint}{urlencode(said)}"})


def _stranger(form: Form) -> Answer | None:
    """Return what a client is told that is none, or to which nobody has consented; nothing is used up by it.

    Codes and tokens are bound to the application that they were given to.
    """
    client = form.get("client_id", "")
    if client not in CLIENTS or form.get("client_secret") != CLIENTS[client]:
        return oauth_error("invalid_client", "invalid client_id or client_secret.")
    is_bound = form.get("grant_type") in {"refresh_token", "authorization_code"}
    return invalid_grant() if is_bound and client not in OURS else None
