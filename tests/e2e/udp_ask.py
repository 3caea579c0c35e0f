#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""udp_ask.py COUNT PORT ADDRESS...: one datagram from each of COUNT sockets to each ADDRESS, and who answered.

The sockets are connected: an answer from another address than the one that was asked does not reach them. Prints a JSON
object {"asked", "answered", "wrong", "by_server": {name: n}}.
"""
import collections
import json
import os
import select
import socket
import sys
import time


def main():
    count, port, addresses = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    waiting = {}
    by_server = collections.Counter()
    wrong = 0
    for address in addresses:
        for _ in range(count):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect((address, port))
            token = os.urandom(16).hex().encode()
            sock.send(token)
            waiting[sock] = token
    asked = len(waiting)
    end = time.monotonic() + 5
    while waiting and time.monotonic() < end:
        for sock in select.select(list(waiting), [], [], 0.2)[0]:
            name, _, content = sock.recv(2048).partition(b" ")
            wrong += content != waiting.pop(sock)
            by_server[name.decode()] += 1
    print(json.dumps({"asked": asked, "answered": asked - len(waiting), "wrong": wrong,
                      "by_server": dict(sorted(by_server.items()))}))


main()
