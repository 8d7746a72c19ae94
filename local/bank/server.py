"""The process: `python -m local.bank.server --port N --root DIR --host-key FILE --authorized-keys F`.

SFTP on `--port`, control on `--control-port`, both on the loopback address; 0 takes free ports. When
ready, one line of JSON on standard output says where, and which host key to pin:
`{"ready": true, "port": N, "control_port": M, "host_key": "ssh-ed25519 AAAA..."}`. The host key is
made when its file is missing. SIGTERM and SIGINT end the process cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.bank.control import Control
from local.bank.desk import Desk
from local.bank.faults import Faults
from local.bank.listener import Listener

_BODY_BYTES_MAX = 1_000_000


def control_server(control: Control, port: int) -> ThreadingHTTPServer:
    """The bound, not yet serving control port. Raises `OSError` when it is taken."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), _BODY_BYTES_MAX)
            asked = self.rfile.read(length)
            try:
                status, answer = control.handle(self.command, self.path, asked)
            except Exception as unexpected:  # the process must survive whatever it meets
                traceback.print_exc()
                status, answer = 500, {"error": f"{type(unexpected).__name__}: {unexpected}"}
            body = (json.dumps(answer, indent=2) + "\n").encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent: control requests are nobody's news."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


async def serve(arguments: argparse.Namespace) -> int:
    """Run until told to stop. Returns the exit status."""
    loop = asyncio.get_running_loop()
    desk, faults = Desk(Path(arguments.root)), Faults()
    listener = Listener(desk, faults, Path(arguments.host_key), Path(arguments.authorized_keys))

    def apply_faults() -> None:
        # Called from the control port's threads: they wait until the port does what they asked for.
        asyncio.run_coroutine_threadsafe(listener.apply(), loop).result(timeout=10)

    port = arguments.port
    try:
        await listener.open(port)
        port = arguments.control_port
        control = control_server(Control(desk, faults, apply_faults), port)
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", file=sys.stderr)
        return 1
    # What was uploaded while nobody was here.
    desk.sweep()
    thread = threading.Thread(target=control.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    ready = {
        "ready": True,
        "port": listener.port,
        "control_port": control.server_address[1],
        "host_key": listener.public_key(),
    }
    print(json.dumps(ready), flush=True)
    await stopped.wait()
    await listener.close()
    await asyncio.to_thread(control.shutdown)
    control.server_close()
    return 0


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="local.bank.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="SFTP; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--root", required=True, help="folders and books; survives a restart")
    parser.add_argument("--host-key", required=True, help="private key file, made when missing")
    parser.add_argument("--authorized-keys", required=True, help="public keys of the clients")
    return asyncio.run(serve(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
