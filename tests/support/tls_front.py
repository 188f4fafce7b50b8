"""A web server in front: takes TLS connections on loopback and passes their bytes on to another port."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Passing(socketserver.BaseRequestHandler):
    server: "_Front"

    def handle(self) -> None:
        try:
            client = self.server.context.wrap_socket(self.request, server_side=True)
        except OSError:
            # The client does not trust us.
            return
        with client, socket.create_connection(("127.0.0.1", self.server.behind)) as inner:
            back = threading.Thread(target=_pass, args=(inner, client), daemon=True)
            back.start()
            _pass(client, inner)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Front(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    context: ssl.SSLContext
    behind: int


@contextmanager
def tls_front(context: ssl.SSLContext, behind: int) -> Iterator[int]:
    """Listen with this context; the port. `behind` is where the bytes go."""
    with _Front(("127.0.0.1", 0), _Passing) as server:
        server.context = context
        server.behind = behind
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
