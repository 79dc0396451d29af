"""Receive webhooks: verify who sent each one, and handle it once. Needs `standardwebhooks` only.

    pip install standardwebhooks
    EMITONCE_SIGNING_SECRET=whsec_… python receive.py 8000

The secret is the connection's. While it is replaced, requests are signed with the old and the new
one, so either of them verifies.
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BYTES = 1024 * 1024

webhook = Webhook(os.environ["EMITONCE_SIGNING_SECRET"])
handled: set[str] = set()  # keep it in your database, in the transaction that handles the event


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BYTES:
            return self.answer(413)
        # The bytes as they came: JSON that was read and written again has another signature.
        body = self.rfile.read(length)
        try:
            event = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.answer(401)
        # A request whose answer was lost comes again with the same id.
        if self.headers["webhook-id"] not in handled:
            print(event["event"], event["payload"], flush=True)
            handled.add(self.headers["webhook-id"])
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()
