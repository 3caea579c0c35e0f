#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""UDP flows that go on: each socket sends a token again and again, and notes which server answers it.

  udp_flow.py [--sockets N] [--interval S] [--live FILE] PORT ADDRESS...

Runs until SIGTERM, then prints a JSON object, which --live renews ten times a second: {"sent", "answered", "wrong",
"moved": flows that another server answered than before, "by_server": {name: flows that it answered first}}.
"""
import argparse
import collections
import json
import os
import select
import signal
import socket
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--interval", type=float, default=0.2)
    parser.add_argument("--live")
    parser.add_argument("port", type=int)
    parser.add_argument("addresses", nargs="+")
    options = parser.parse_args()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))

    flows = {}
    for i in range(options.sockets):
        address = options.addresses[i % len(options.addresses)]
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((address, options.port))
        flows[sock] = {"token": os.urandom(16).hex().encode(), "server": None, "moved": False}
    sent = answered = wrong = 0
    by_server = collections.Counter()
    next_send = 0
    while not stop:
        now = time.monotonic()
        if now >= next_send:
            for sock, flow in flows.items():
                sock.send(flow["token"])
                sent += 1
            next_send = now + options.interval
        for sock in select.select(list(flows), [], [], 0.05)[0]:
            name, _, content = sock.recv(2048).partition(b" ")
            flow = flows[sock]
            answered += 1
            wrong += content != flow["token"]
            if flow["server"] is None:
                by_server[name.decode()] += 1
            elif flow["server"] != name:
                flow["moved"] = True
            flow["server"] = name
        report = {"sent": sent, "answered": answered, "wrong": wrong, "moved": sum(f["moved"] for f in flows.values()),
                  "by_server": dict(sorted(by_server.items()))}
        if options.live:
            with open(options.live + ".new", "w", encoding="utf-8") as file:
                json.dump(report, file)
            os.rename(options.live + ".new", options.live)
    print(json.dumps(report))


main()
