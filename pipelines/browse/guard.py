"""Lets requests to the server pass only where they come from its own pages.

Any page that a person has open can make that person's browser send requests to
127.0.0.1, and a foreign name can be made to lead there. So the Host must be this
server's, and Origin and Sec-Fetch-Site must not be another's.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse, Response

__all__ = ["Guard", "GuardSettings"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_MAX_QUERY = 2000
_COOKIE = "clipmill_token"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob: data:; style-src 'self'; "
        "script-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Who may send requests.

    Attributes:
      hosts: the values of Host under which the server is reached, in lower case.
      token: must come once as ?token=..., then as a cookie; "" for none.
    """

    hosts: frozenset[str]
    token: str = ""


class Guard:
    """Refuses foreign and oversized requests, and sends the pages' policy."""

    def __init__(self, app: App, settings: GuardSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *policy]
            await send(message)

        answer: App = self._refusal(scope) or self._app
        await answer(scope, receive, send_with_policy)

    def _refusal(self, scope: Message) -> Response | None:
        """Returns the answer to a request that is not handed on."""
        names = [name for name, _ in scope["headers"]]
        headers = {
            n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]
        }
        host = headers.get("host", "").lower()
        if names.count(b"host") != 1 or host not in self._settings.hosts:
            return _refused(403, "this server has another name")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return _refused(403, "requests of other pages are refused")
        is_foreign = headers.get("sec-fetch-site", "none") not in (
            "none",
            "same-origin",
        )
        if is_foreign and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "requests of other pages are refused")
        if len(scope["query_string"]) > _MAX_QUERY:
            return _refused(414, f"a query may have at most {_MAX_QUERY} bytes")
        return self._without_token(scope, headers) if self._settings.token else None

    def _without_token(
        self, scope: Message, headers: dict[str, str]
    ) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._is_token(query.get("token", [""])[0]):
            answer = RedirectResponse(scope["path"], 303)
            answer.set_cookie(
                _COOKIE, self._settings.token, httponly=True, samesite="strict"
            )
            return answer
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None and self._is_token(cookie.value):
            return None
        return _refused(403, "open the address with the token that the command printed")

    def _is_token(self, text: str) -> bool:
        expected = self._settings.token.encode()
        return hmac.compare_digest(text.encode("utf-8", "replace"), expected)


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse(f"refused: {text}\n", status)
