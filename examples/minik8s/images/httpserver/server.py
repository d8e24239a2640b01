"""Stands in for the program of the image `jackhel0/httpserver`: work for autoscalers, and a look at the pod's network.

Every GET computes fib(30), the slow way, and answers with it and with what `ifconfig` said: the text of the variable IFCONFIG_RESULT when
the pod's command made one. It listens on 7080.
"""
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        lines = [f"fib(30) = {fib(30)}", f"host: {socket.gethostname()}", os.environ.get("IFCONFIG_RESULT", "")]
        body = ("\n".join(lines).strip() + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 7080), Handler).serve_forever()
