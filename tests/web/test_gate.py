"""Who may come in: the token, the cookie, the Host, the forms."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from served import Server, project, serving

HTML = {"accept": "text/html"}


@contextmanager
def visitor(server: Server) -> Iterator[httpx.Client]:
    """Somebody with a browser's cookies, who has opened the printed address."""
    with httpx.Client(base_url=server.url, headers=HTML, timeout=60, trust_env=False) as client:
        answer = client.get("/", params={"token": server.about["token"]})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/jobs/1", "/events", "/tasks", "/openapi.json", "/page/1", "/nowhere", "/static/page.js"]
)
def test_nothing_without_the_token(server: Server, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {server.about['token']}"},
                    {"cookie": f"respool-{server.url.rpartition(':')[2]}=wrong"}):  # fmt: skip
        answer = server.bare.get(server.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["status"] == 401
    assert server.bare.get(server.url + path, headers=HTML).headers["content-type"].startswith("text/html")


def test_the_printed_address_opens_the_page(server: Server) -> None:
    assert re.search(rf"page: +{server.url}/\?token={server.about['token']}\n", server.said)
    assert server.said.count(server.about["token"]) == 1
    with visitor(server) as client:
        (cookie,) = client.cookies.jar
        assert cookie.value != server.about["token"]
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "strict"
        assert client.get("/").status_code == 200
        assert client.get("/jobs").status_code == 200
    wrong = server.bare.get(server.url + "/", params={"token": "wrong"}, headers=HTML)
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers


def test_signing_in_by_hand(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers=HTML, trust_env=False) as client:
        assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
        assert client.post("/sign-in", data={"token": server.about["token"]}).status_code == 303
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "10.0.0.1", "[::2]:80"])
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    connection = http.client.HTTPConnection(server.url.partition("//")[2], timeout=60)
    try:
        connection.request("GET", "/jobs", headers={"Host": host, "Authorization": f"Bearer {server.about['token']}"})
        assert connection.getresponse().status == 400
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:99"])
def test_its_own_names_are_not(server: Server, host: str) -> None:
    assert server.client.get("/jobs", headers={"host": host}).status_code == 200


def test_a_browser_changes_something_from_our_own_pages_only(server: Server) -> None:
    job = server.submit("describe", {"g": {"name": "gate", "fail": True}}).json()["id"]
    server.ended(job, "failed")
    with visitor(server) as client:
        assert client.post(f"/jobs/{job}/retry").status_code == 403  # a cookie is no key to the API
        assert client.post("/jobs", json={}).status_code == 403
        address = f"/page/{job}/retry"
        assert client.post(address).status_code == 403
        assert client.post(address, data={"form": "guess"}).status_code == 403
        word = re.findall(r'name="form" value="(\w+)"', client.get(f"/page/{job}").text)[0]
        for origin in ("http://evil.example", "null", server.url + "1"):
            assert client.post(address, data={"form": word}, headers={"origin": origin}).status_code == 403
        assert server.calls.count("g") == 1
        done = client.post(address, data={"form": word, "back": "//evil.example"}, headers={"origin": server.url})
        assert (done.status_code, done.headers["location"]) == (303, f"/page/{job}")
    server.ended(job, "failed")


def test_what_a_browser_is_told(server: Server) -> None:
    for path in ("/", "/jobs", "/health", "/static/page.css", "/nowhere"):
        headers = server.client.get(path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert set(" ".join(policy.values()).split()) == {"'none'", "'self'"}
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_token_of_ones_own_is_not_printed(tmp_path: Path) -> None:
    with serving(project(tmp_path), env={"RESPOOL_TOKEN": "open sesame, please"}) as server:
        assert server.about["token"] is None
        assert "sesame" not in server.said
        assert server.get("/jobs") == {"jobs": [], "next": None}


def test_further_names_and_addresses(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with (folder / "pyproject.toml").open("a") as file:
        file.write('hosts = ["jobs.example"]\n')
    with serving(folder, "--host", "0.0.0.0") as server:
        for host, status in {"jobs.example": 200, "192.0.2.7:80": 200, "[2001:db8::1]": 200, "other.example": 400}.items():
            assert server.client.get("/jobs", headers={"host": host}).status_code == status, host
