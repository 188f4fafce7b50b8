"""Fetches from servers on loopback, most of them hostile; limits are short so that nobody waits."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailer.errors import FeedBusy, FeedError, FeedGone
from mailer.feeds.http.fetch import Fetched, FetchLimits, FetchRequest, fetch

QUICK = FetchLimits(connect=1.0, read=1.0, total=1.5, size=100_000)
FEED = b"<rss version='2.0'></rss>"

Talk = Callable[[socket.socket, bytes], None]
"""What a server does with a connection and the head of the request."""


@contextmanager
def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that talks as it is told to; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                plain = tls.wrap_socket(connection, server_side=True) if tls else connection
                with plain:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        chunk = plain.recv(65_536)
                        if not chunk:
                            return
                        head += chunk
                    talk(plain, head)
            except OSError:
                return

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(target=answer, args=(connection,))
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    port = listener.getsockname()[1]
    try:
        yield port
    finally:
        stopping.set()
        socket.create_connection(("127.0.0.1", port)).close()
        acceptor.join(timeout=10)
        listener.close()
        for thread in threads:
            thread.join(timeout=10)


def reply(body: bytes = FEED, status: str = "200 OK", **headers: str) -> Talk:
    lines = [f"HTTP/1.1 {status}", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    if not any(name.lower() == "content_length" for name in headers):
        lines.append(f"Content-Length: {len(body)}")
    return lambda connection, _: connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def local(port: int, path: str = "/feed", host: str = "127.0.0.1", **more: str) -> FetchRequest:
    return FetchRequest(f"http://{host}:{port}{path}", allow_private=True, **more)


def header(head: bytes, name: str) -> str | None:
    for line in head.decode().split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


def recorded(talk: Talk) -> tuple[Talk, list[bytes]]:
    """The same talk, and the heads of the requests that came to it."""
    heads: list[bytes] = []

    def recording(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        talk(connection, head)

    return recording, heads


def test_a_feed() -> None:
    talk, heads = recorded(
        reply(Content_Type="text/xml; charset=utf-8", ETag='W/"1"', Last_Modified="yesterday")
    )
    with serving(talk) as port:
        fetched = fetch(local(port, "/feed?a=b"), limits=QUICK)
    assert fetched == Fetched(
        f"http://127.0.0.1:{port}/feed?a=b", FEED, "text/xml; charset=utf-8", 'W/"1"', "yesterday"
    )
    assert heads[0].startswith(b"GET /feed?a=b HTTP/1.1\r\n")
    assert header(heads[0], "Host") == f"127.0.0.1:{port}"
    assert header(heads[0], "Accept-Encoding") == "gzip"
    assert header(heads[0], "If-None-Match") is None
    assert header(heads[0], "Authorization") is None


def test_what_a_server_says_is_told_without_what_a_terminal_obeys() -> None:
    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"\x1b]0;PWNED\a\x1b[2J\0\r\n\r\n")

    with serving(talk) as port, pytest.raises(FeedError, match="PWNED") as caught:
        fetch(local(port), limits=QUICK)
    assert str(caught.value).isprintable()


def test_both_validators_are_sent_and_nothing_new_is_told() -> None:
    talk, heads = recorded(reply(b"", "304 Not Modified"))
    with serving(talk) as port:
        fetched = fetch(
            local(port, etag='W/"1"', last_modified="Mon, 23 Nov 2026 09:00:00 GMT"), limits=QUICK
        )
        assert fetched.body is None
        with pytest.raises(FeedError, match="answered 304"):
            fetch(local(port), limits=QUICK)
    assert header(heads[0], "If-None-Match") == 'W/"1"'
    assert header(heads[0], "If-Modified-Since") == "Mon, 23 Nov 2026 09:00:00 GMT"


@pytest.mark.parametrize(
    "known", [{"Content_Encoding": "gzip"}, {"Content_Type": "application/xml"}]
)
def test_gzip_is_unpacked_even_if_the_server_does_not_know_of_it(known: dict[str, str]) -> None:
    with serving(reply(gzip.compress(FEED), **known)) as port:
        assert fetch(local(port), limits=QUICK).body == FEED


@pytest.mark.parametrize("validator", ["x" * 2000, "\x7f"])
def test_a_validator_that_cannot_be_sent_back_is_not_kept(validator: str) -> None:
    with serving(reply(ETag=validator, Last_Modified=validator)) as port:
        fetched = fetch(local(port), limits=QUICK)
    assert (fetched.body, fetched.etag, fetched.last_modified) == (FEED, None, None)


def test_a_chunked_answer() -> None:
    chunks = b"5\r\n<rss \r\n14\r\nversion='2.0'></rss>\r\n0\r\n\r\n"

    def without_length(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)

    with serving(without_length) as port:
        assert fetch(local(port), limits=QUICK).body == FEED


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        (reply(b"x", "404 Not Found"), "answered 404"),
        (reply(b"x", "503 Service Unavailable"), "answered 503"),
        (reply(Content_Encoding="br"), "'br', which was not asked for"),
        (reply(b"no gzip at all", Content_Encoding="gzip"), "broken gzip"),
        (reply(gzip.compress(FEED)[:-6], Content_Encoding="gzip"), "in the middle of its answer"),
        (reply(gzip.compress(FEED)[:-6]), "in the middle of its answer"),
        (reply(b"\x1f\x8b\x08 no gzip"), "broken gzip"),
        (reply(gzip.compress(b"\0" * 50_000_000)), "larger than"),
        (reply(FEED, Content_Length="9000"), "broke off"),
        (reply(b"a" * 100_001), "larger than 100,000 bytes"),
        (reply(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip"), "larger than"),
        (reply(b"", "302 Found", Location="file:///etc/passwd"), "not a web address"),
        (reply(b"", "302 Found", Location="javascript:alert(1)"), "not a web address"),
        (reply(b"", "302 Found"), "not a web address"),
        (lambda connection, _: connection.close(), "broke off"),
        (
            lambda connection, _: connection.sendall(b"220 smtp.example ESMTP\r\n"),
            "broke off",
        ),
        (lambda connection, _: connection.sendall(b"\r\n"), "broke off: BadStatusLine; "),
    ],
)
def test_answers_that_are_refused(talk: Talk, says: str) -> None:
    with serving(talk) as port, pytest.raises(FeedError, match=says):
        fetch(local(port), limits=QUICK)


def flood(first: bytes, again: bytes, pause: float = 0.0) -> Talk:
    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(first)
        while True:
            time.sleep(pause)
            connection.sendall(again)

    return talk


drip = partial(flood, pause=0.05)


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        lambda connection, _: connection.recv(1),
    ],
)
def test_slow_servers_are_left(talk: Talk) -> None:
    limits = FetchLimits(connect=1.0, read=0.6, total=1.0, size=100_000)
    # Not one of them ends by itself.
    with serving(talk) as port, pytest.raises(FeedError, match=r"in time|took longer|broke off"):
        fetch(local(port), limits=limits)


@pytest.mark.parametrize(
    "talk",
    [
        flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536),
        flood(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65_536),
        flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"9" * 65_536),
        flood(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
            b"\x00\x00\x00\xff\xff" * 1000,
        ),
    ],
)
def test_endless_answers_are_cut(talk: Talk) -> None:
    with serving(talk) as port, pytest.raises(FeedError):
        fetch(local(port), limits=QUICK)


def test_a_slow_resolver_is_left() -> None:
    release = threading.Event()

    def slow(host: str, port: int) -> Sequence[str]:
        release.wait(120)
        return []

    with pytest.raises(FeedError, match="not resolved in time"):
        fetch(FetchRequest("http://feed.example/"), limits=FetchLimits(total=0.2), resolver=slow)
    release.set()


def counting(*answers: Sequence[str]) -> tuple[Callable[[str, int], Sequence[str]], list[str]]:
    """A resolver that gives these answers in turn, and the names it was asked for."""
    asked: list[str] = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolver, asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}/",
        "http://localhost:{}/",
        "http://2130706433:{}/",
        "http://0x7f.1:{}/",
        "http://0:{}/",
        "http://[::1]:{}/",
        "http://[::ffff:127.0.0.1]:{}/",
        "http://[64:ff9b::7f00:1]:{}/",
        "http://[::127.0.0.1]:{}/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_private_addresses_are_refused(url: str) -> None:
    connected: list[bytes] = []
    with (
        serving(lambda _, head: connected.append(head)) as port,
        pytest.raises(FeedError, match=r"private network|not on a network"),
    ):
        fetch(FetchRequest(url.format(port)), limits=QUICK)
    assert connected == []


@pytest.mark.parametrize("others", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]])
def test_every_address_of_a_host_counts(others: list[str]) -> None:
    resolver, _ = counting(others)
    with pytest.raises(FeedError, match=r"feed.example \(127.0.0.1\) is on a private network"):
        fetch(FetchRequest("http://feed.example/"), limits=QUICK, resolver=resolver)


def test_a_name_is_resolved_once_and_the_checked_address_connected_to() -> None:
    talk, heads = recorded(reply())
    # A second answer would lead to the cloud's own address.
    resolver, asked = counting(["127.0.0.1"], ["169.254.169.254"])
    with serving(talk) as port:
        fetched = fetch(local(port, host="feed.example"), limits=QUICK, resolver=resolver)
    assert fetched.body == FEED
    assert asked == ["feed.example"]
    assert header(heads[0], "Host") == f"feed.example:{port}"


def test_the_next_address_is_tried_when_one_does_not_answer(free_port: int) -> None:
    resolver, _ = counting(["127.0.0.2", "127.0.0.1"])
    with serving(reply()) as port:
        assert fetch(local(port, host="f.example"), limits=QUICK, resolver=resolver).body == FEED
    with pytest.raises(FeedError, match=r"cannot connect to 127.0.0.1: Connection refused"):
        fetch(local(free_port), limits=QUICK)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://metadata.example/",
        "//169.254.169.254/",
    ],
)
def test_redirects_are_checked_even_where_private_networks_are_allowed(location: str) -> None:
    resolver, _ = counting(["127.0.0.1"], ["169.254.169.254"])
    with (
        serving(reply(b"", "302 Found", Location=location)) as port,
        pytest.raises(FeedError, match=r"169.254.169.254.* is not on a network"),
    ):
        fetch(local(port), limits=QUICK, resolver=resolver)


@pytest.mark.parametrize(("host", "is_followed"), [("www.feed.example", True), ("10.0.0.1", False)])
def test_a_private_network_is_open_to_redirects_on_the_feeds_own_host_only(
    host: str, is_followed: bool
) -> None:
    resolver, asked = counting(["127.0.0.1"])

    def talk(connection: socket.socket, head: bytes) -> None:
        is_first = header(head, "Host") == f"feed.example:{port}"
        to = f"http://{host}:{port}/"
        answer = reply(b"", "301 Moved", Location=to) if is_first else reply()
        answer(connection, head)

    with serving(talk) as port:
        wanted = local(port, host="feed.example")
        if is_followed:
            assert fetch(wanted, limits=QUICK, resolver=resolver).body == FEED
        else:
            with pytest.raises(FeedError, match=r"redirects to 10\.0\.0\.1 .*private network"):
                fetch(wanted, limits=QUICK, resolver=resolver)
    assert asked == ["feed.example", host]


def test_a_stranger_cannot_send_a_fetch_back_into_a_private_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public = iter([True, True])
    monkeypatch.setattr(
        "mailer.feeds.http.connection.may_connect",
        lambda _, allow_private: next(public, allow_private),
    )
    hosts = iter(["stranger.example", "feed.example"])
    resolver, asked = counting(["127.0.0.1"])

    def talk(connection: socket.socket, head: bytes) -> None:
        reply(b"", "302 Found", Location=f"http://{next(hosts)}:{port}/")(connection, head)

    with serving(talk) as port, pytest.raises(FeedError, match=r"not on a network|private network"):
        fetch(local(port, host="feed.example"), limits=QUICK, resolver=resolver)
    assert asked == ["feed.example", "stranger.example", "feed.example"]


def hops(heads: list[bytes], number: int, other: str = "") -> Talk:
    """Redirects from /0 to /1 and so on, and answers at `number`."""

    def talk(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        at = int(head.split()[1].strip(b"/"))
        if at == number:
            reply()(connection, head)
        else:
            reply(b"", "301 Moved", Location=f"{other}/{at + 1}")(connection, head)

    return talk


def test_three_redirects_are_followed_and_no_more() -> None:
    heads: list[bytes] = []
    with serving(hops(heads, 3)) as port:
        assert fetch(local(port, "/0"), limits=QUICK).url == f"http://127.0.0.1:{port}/3"
    with (
        serving(hops(heads, 9)) as port,
        pytest.raises(FeedError, match="redirects more than 3 times"),
    ):
        fetch(local(port, "/0"), limits=QUICK)


def redirecting(statuses: Sequence[str]) -> Talk:
    """A server that answers /0, /1 … with these statuses, each leading to the next, and then a feed."""

    def talk(connection: socket.socket, head: bytes) -> None:
        at = int(head.split()[1].strip(b"/"))
        if at < len(statuses):
            reply(b"", statuses[at], Location=f"/{at + 1}")(connection, head)
        elif header(head, "If-None-Match") == '"1"':
            reply(b"", "304 Not Modified")(connection, head)
        else:
            reply(ETag='"1"')(connection, head)

    return talk


@pytest.mark.parametrize(
    ("statuses", "permanent"),
    [
        ([], None),
        (["301 Moved"], "/1"),
        (["308 Moved", "301 Moved"], "/2"),
        (["302 Found"], None),
        (["307 Found", "301 Moved"], None),
        (["301 Moved", "302 Found", "301 Moved"], "/1"),
    ],
)
def test_only_redirects_for_good_from_the_beginning_tell_where_a_feed_is(
    statuses: list[str], permanent: str | None
) -> None:
    with serving(redirecting(statuses)) as port:
        fetched = fetch(local(port, "/0"), limits=QUICK)
        at = f"http://127.0.0.1:{port}"
        assert fetched.permanent_url == (None if permanent is None else at + permanent)
        assert fetched.url == f"{at}/{len(statuses)}"


def test_validators_are_sent_to_the_address_that_gave_them_only() -> None:
    talk, heads = recorded(redirecting(["302 Found"]))
    with serving(talk) as port:
        at = f"http://127.0.0.1:{port}"
        wanted = local(port, "/0", etag='"1"', validators_url=f"{at}/1")
        assert fetch(wanted, limits=QUICK).body is None
        assert fetch(local(port, "/0", etag='"1"'), limits=QUICK).body == FEED
    assert [header(head, "If-None-Match") for head in heads] == [None, '"1"', '"1"', None]


def test_gone_is_gone() -> None:
    with (
        serving(reply(b"", "410 Gone")) as port,
        pytest.raises(FeedGone, match="look for its new address"),
    ):
        fetch(local(port), limits=QUICK)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
def test_a_server_may_ask_to_be_left_alone(status: str) -> None:
    with (
        serving(reply(b"x", status, Retry_After=" 600 ")) as port,
        pytest.raises(FeedBusy, match=status[:3]) as caught,
    ):
        fetch(local(port), limits=QUICK)
    assert caught.value.retry_after == "600"


def test_sign_in_data_is_never_sent() -> None:
    heads: list[bytes] = []
    with serving(hops(heads, 2)) as port:
        fetch(
            FetchRequest(f"http://desk:secret@127.0.0.1:{port}/0", allow_private=True), limits=QUICK
        )
        assert [header(head, "Host") for head in heads] == [f"127.0.0.1:{port}"] * len(heads)
    assert [header(head, "Authorization") for head in heads] == [None] * len(heads)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "feed", "ftp://f.example/", "http://", ""])
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(FeedError, match="not an http or https address"):
        fetch(FetchRequest(url), limits=QUICK)


def test_a_host_that_is_not_there() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(FeedError, match=r"there is no host nowhere\.example"):
        fetch(FetchRequest("http://nowhere.example/"), limits=QUICK, resolver=unknown)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for feed.example, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "feed.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("feed.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "feed.example.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """How feed.example serves, and how those fetch that trust it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=str(certificate))


def test_over_tls_the_name_is_asked_for_and_checked(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, trusting = tls
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    resolver, _ = counting(["127.0.0.1"])
    with serving(reply(), server) as port:
        wanted = FetchRequest(f"https://feed.example:{port}/", allow_private=True)
        assert fetch(wanted, limits=QUICK, resolver=resolver, tls=trusting).body == FEED
        other = FetchRequest(f"https://other.example:{port}/", allow_private=True)
        with pytest.raises(FeedError, match=r"certificate of other\.example is not valid"):
            fetch(other, limits=QUICK, resolver=resolver, tls=trusting)
        with pytest.raises(FeedError, match=r"certificate of feed\.example is not valid"):
            fetch(wanted, limits=QUICK, resolver=resolver)
    assert names == ["feed.example", "other.example", "feed.example"]


def test_a_redirect_for_good_from_https_to_http_is_followed_and_not_remembered(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, trusting = tls
    resolver, _ = counting(["127.0.0.1"])

    def talk(connection: socket.socket, head: bytes) -> None:
        to = "/moved" if head.startswith(b"GET / ") else f"http://feed.example:{plain}/"
        reply(b"", "301 Moved", Location=to)(connection, head)

    with serving(reply()) as plain, serving(talk, server) as port:
        wanted = FetchRequest(f"https://feed.example:{port}/", allow_private=True)
        fetched = fetch(wanted, limits=QUICK, resolver=resolver, tls=trusting)
    assert fetched.body == FEED
    assert fetched.permanent_url == f"https://feed.example:{port}/moved"
