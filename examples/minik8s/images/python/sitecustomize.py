"""A server that asks for every address of the machine gets the pod's.

Without root, pods differ by their loopback address alone: two servers on 0.0.0.0 with one port would collide. The runtime says in HOST
which address a pod should bind; every Python program of the python images follows it, `python -m http.server` included. In a pod with a
network of its own HOST is 0.0.0.0 (or absent), and nothing is changed.
"""
import os
import socket

_host = os.environ.get("HOST", "")

if _host.startswith("127."):
    _bind = socket.socket.bind

    def _bind_to_pod(self, address):
        if self.family == socket.AF_INET and address[0] in ("", "0.0.0.0"):
            address = (_host, *address[1:])
        elif self.family == socket.AF_INET6 and address[0] in ("", "::"):
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            address = ("::ffff:" + _host, *address[1:])
        return _bind(self, address)

    socket.socket.bind = _bind_to_pod
