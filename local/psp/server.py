"""The process: `python -m local.psp.server --port N --stripe URL --stripe-key KEY --state FILE`.

Binds to the loopback address. `--port 0` takes a free port. When ready, one line of JSON on
standard output says where: `{"ready": true, "port": N}`. SIGTERM and SIGINT end it cleanly.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from local.psp.answers import Answer, error_answer
from local.psp.api import StripeApi
from local.psp.control import Control
from local.psp.records import RecordFile
from local.psp.simulator import Simulator
from local.psp.throttle import Throttle
from local.psp.upstream import Reader, Upstream

_BODY_BYTES_MAX = 1_000_000


def build(arguments: argparse.Namespace) -> ThreadingHTTPServer:
    """The bound, not yet serving server. Raises `OSError` when the port is taken."""
    upstream = Upstream(arguments.stripe, arguments.stripe_key)
    simulator = Simulator(RecordFile(Path(arguments.state)), Reader(upstream))
    stripe = StripeApi(simulator, arguments.stripe_key, Throttle(arguments.rate, time.monotonic_ns))
    control = Control(simulator)
    # The records are small and their order must be certain: one request at a time.
    turn = threading.Lock()

    def answer_to(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        url = urlsplit(target)
        with turn:
            try:
                if url.path.startswith("/_sim/"):
                    return control.handle(method, url.path, body)
                return stripe.handle(method, url.path, url.query, headers)
            except Exception as unexpected:  # the process must survive whatever it meets
                traceback.print_exc()
                text = f"{type(unexpected).__name__}: {unexpected}"
                return error_answer(500, text, "api_error")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Small answers: without this, delayed acknowledgements cost 40 ms each.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), _BODY_BYTES_MAX)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = answer_to(self.command, self.path, headers, body)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            if arguments.verbose:
                print(format % args, file=sys.stderr, flush=True)

    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    return server


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="local.psp.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--stripe", required=True, help="base URL of localstripe")
    parser.add_argument("--stripe-key", required=True, help="the key that clients must present")
    parser.add_argument("--state", required=True, help="file that survives a restart")
    parser.add_argument("--rate", type=int, default=25, help="requests a second")
    parser.add_argument("--verbose", action="store_true", help="log requests to standard error")
    arguments = parser.parse_args(argv)
    try:
        server = build(arguments)
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{arguments.port}: {error.strerror}", file=sys.stderr)
        return 1
    for name in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for serve_forever() to return, so it must not run in this same thread.
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown).start())
    print(json.dumps({"ready": True, "port": server.server_address[1]}), flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
