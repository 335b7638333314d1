"""The voting page: GET shows the options, POST puts a vote on a Redis list."""

import html
import json
import os
import signal
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

options = os.environ.get("OPTIONS", "cats,dogs").split(",")
store = redis.Redis(host=os.environ.get("REDIS_HOST", "redis"), socket_timeout=5)


class Vote(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, note=""):
        buttons = "".join(f'<button name="vote" value="{html.escape(o)}">{html.escape(o)}</button> ' for o in options)
        return f"<!doctype html><title>Vote</title><h1>Vote</h1><form method=post>{buttons}</form><p>{html.escape(note)}</p>\n"

    def do_GET(self):
        self.answer(200, self.page())

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length", "0")), 4096)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        choice = form.get("vote", [""])[0]
        if choice not in options:
            return self.answer(400, self.page(f"no such option: {choice}"))
        store.rpush("votes", json.dumps({"vote": choice}))
        return self.answer(200, self.page(f"you voted for {choice}"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", 80), Vote).serve_forever()
