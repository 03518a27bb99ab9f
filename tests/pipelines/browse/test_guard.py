import asyncio

import pytest
from starlette.responses import PlainTextResponse

from pipelines.browse.guard import Guard, GuardSettings

HOST = "127.0.0.1:8021"


def answer(headers, *, query="", token="", path="/"):
    """The status and headers of the answer to a request."""
    guard = Guard(PlainTextResponse("a page"), GuardSettings(frozenset({HOST}), token))
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers],
    }
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], {n.decode(): v.decode() for n, v in sent[0]["headers"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Host", HOST)], 200),
        ([("Host", HOST.upper())], 200),
        ([("Host", HOST), ("Origin", f"http://{HOST}")], 200),
        ([("Host", HOST), ("Sec-Fetch-Site", "same-origin")], 200),
        (
            [
                *(("Host", HOST), ("Sec-Fetch-Site", "cross-site")),
                ("Sec-Fetch-Mode", "navigate"),
            ],
            200,
        ),
        ([], 403),
        ([("Host", "evil.example:8021")], 403),
        ([("Host", "127.0.0.1:80")], 403),
        ([("Host", HOST), ("Host", "evil.example")], 403),
        ([("Host", HOST), ("Origin", "http://evil.example")], 403),
        ([("Host", HOST), ("Origin", "null")], 403),
        ([("Host", HOST), ("Origin", f"https://{HOST}")], 403),
        (
            [
                *(("Host", HOST), ("Sec-Fetch-Site", "cross-site")),
                ("Sec-Fetch-Mode", "no-cors"),
            ],
            403,
        ),
        ([("Host", HOST), ("Sec-Fetch-Site", "same-site")], 403),
    ],
)
def test_only_requests_of_the_servers_own_pages_pass(headers, status):
    assert answer(headers)[0] == status


def test_every_answer_has_a_policy_without_inline_scripts():
    for headers in ([("Host", HOST)], [("Host", "evil.example")]):
        _, sent = answer(headers)
        policy = sent["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert sent["x-content-type-options"] == "nosniff"
        assert sent["cache-control"] == "no-store"


def test_huge_queries_are_refused():
    assert answer([("Host", HOST)], query="a" * 2000)[0] == 200
    assert answer([("Host", HOST)], query="a" * 2001)[0] == 414


def test_with_a_token_nothing_passes_without_it():
    own = [("Host", HOST)]
    assert answer(own, token="secret")[0] == 403
    assert answer(own, token="secret", query="token=other")[0] == 403
    assert answer(own, token="secret", query="token=%C3%A9")[0] == 403
    assert answer([*own, ("Cookie", "clipmill_token=x")], token="secret")[0] == 403
    assert answer([*own, ("Cookie", "a=;;;=\x01")], token="secret")[0] == 403
    status, sent = answer(own, token="secret", query="token=secret", path="/classes")
    assert (status, sent["location"]) == (303, "/classes")
    cookie = sent["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    passing = [*own, ("Cookie", cookie.partition(";")[0])]
    assert answer(passing, token="secret")[0] == 200
