#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Long-lived TCP connections that trickle checksummed records: whoever breaks one is found out.

  trickle.py serve NAME PORT
  trickle.py hold --connections N --interval S [--ready FILE] [--live FILE] PORT ADDRESS...

A record is a sequence number, a length, random bytes and their CRC. The server answers each with its name, the number
and a CRC over everything that the connection ever carried; the client compares with its own. A connection is broken when
it is refused, reset, closed, silent for --timeout, or when any number, sum or the server's name is wrong. `hold` runs
until SIGTERM or --duration, then prints one JSON object:
{"connections", "records", "broken": [{"connection", "server", "after_s", "at", "reason"}], "per_server": {name: n}}.
`at` is the wall clock. Exit status 1 when any connection broke.
"""
import argparse
import asyncio
import collections
import json
import os
import random
import signal
import struct
import sys
import time
import zlib

HEADER = struct.Struct("!II")
PAYLOAD_MAX = 600
reason_names = {
    ConnectionRefusedError: "refused",
    ConnectionResetError: "reset",
    BrokenPipeError: "reset",
    asyncio.IncompleteReadError: "closed by the server",
    asyncio.TimeoutError: "no answer",
    TimeoutError: "no answer",
}


async def serve_one(name, reader, writer):
    running = 0
    try:
        while True:
            header = await reader.readexactly(HEADER.size)
            number, length = HEADER.unpack(header)
            if length > PAYLOAD_MAX:
                break
            body = await reader.readexactly(length + 4)
            if zlib.crc32(body[:length]) != int.from_bytes(body[length:], "big"):
                break
            running = zlib.crc32(body, zlib.crc32(header, running))
            writer.write(f"{name} {number} {running}\n".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(name, port):
    server = await asyncio.start_server(lambda r, w: serve_one(name, r, w), ["0.0.0.0", "::"], port, backlog=4096)
    async with server:
        await server.serve_forever()


class Broken(Exception):
    pass


class Holder:
    def __init__(self, options):
        self.options = options
        self.stop = asyncio.Event()
        self.connected = 0
        self.records = 0
        self.broken = []
        self.per_server = collections.Counter()

    async def pause(self, seconds):
        """Sleep, but not longer than until the end of the run."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def record(self, state, reader, writer):
        payload = random.randbytes(random.randrange(1, PAYLOAD_MAX))
        header = HEADER.pack(state["number"], len(payload))
        body = payload + zlib.crc32(payload).to_bytes(4, "big")
        state["running"] = zlib.crc32(body, zlib.crc32(header, state["running"]))
        writer.write(header + body)
        line = await asyncio.wait_for(reader.readline(), self.options.timeout)
        if not line:
            raise Broken("closed by the server")
        server, number, running = line.decode().split()
        if state["server"] is None:
            state["server"] = server
            self.per_server[server] += 1
        if server != state["server"]:
            raise Broken(f"was {state['server']}, now {server}")
        if int(number) != state["number"] or int(running) != state["running"]:
            raise Broken("wrong sum")
        state["number"] += 1
        self.records += 1

    async def hold(self, index, address):
        state = {"number": 0, "running": 0, "server": None}
        started = time.time()
        writer = None
        try:
            await self.pause(index * self.options.spread / max(1, self.options.connections))
            started = time.time()
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(address, self.options.port), self.options.timeout)
            await self.record(state, reader, writer)
            self.connected += 1
            while not self.stop.is_set():
                await self.pause(self.options.interval * random.uniform(0.7, 1.3))
                await self.record(state, reader, writer)
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
            now = time.time()
            reason = str(error) if isinstance(error, Broken) else reason_names.get(type(error), repr(error))
            self.broken.append({"connection": f"{index} {address}", "server": state["server"],
                                "after_s": round(now - started, 3), "at": now, "reason": reason})
        finally:
            if writer:
                writer.close()

    def report(self):
        return {"connections": self.options.connections, "connected": self.connected, "records": self.records,
                "broken": self.broken, "per_server": dict(sorted(self.per_server.items()))}

    async def watch(self):
        ready = self.options.ready
        while not self.stop.is_set():
            if ready and self.connected + len(self.broken) >= self.options.connections:
                write_file(ready, "ready\n")
                ready = None
            if self.options.live:
                write_file(self.options.live, json.dumps(self.report()) + "\n")
            await self.pause(0.1)

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        if self.options.duration:
            loop.call_later(self.options.duration, self.stop.set)
        addresses = self.options.addresses
        await asyncio.gather(self.watch(), *(self.hold(i, addresses[i % len(addresses)])
                                             for i in range(self.options.connections)))
        return self.report()


def write_file(path, text):
    """Whole or not at all, for readers that look at any time."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("serve")
    one.add_argument("name")
    one.add_argument("port", type=int)
    one = verbs.add_parser("hold")
    one.add_argument("--connections", type=int, default=100)
    one.add_argument("--interval", type=float, default=0.5, help="seconds between the records of a connection")
    one.add_argument("--spread", type=float, default=1.0, help="open all connections within so many seconds")
    one.add_argument("--timeout", type=float, default=10.0)
    one.add_argument("--duration", type=float, default=0)
    one.add_argument("--ready", help="file to make when all connections carried a record")
    one.add_argument("--live", help="file with the report so far, renewed ten times a second")
    one.add_argument("port", type=int)
    one.add_argument("addresses", nargs="+")
    options = parser.parse_args()
    if options.verb == "serve":
        asyncio.run(serve(options.name, options.port))
        return 0
    report = asyncio.run(Holder(options).run())
    print(json.dumps(report))
    return 1 if report["broken"] else 0


sys.exit(main())
