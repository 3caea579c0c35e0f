#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Short HTTP requests, a new TCP connection each, every answer checked; nothing is retried and nothing forgiven.

  load.py [--workers N] [--rate R] [--duration S] [--live FILE] URL...

A request is good when the answer is 200, complete, and names a server. Runs until SIGTERM or --duration, then prints one
JSON object: {"requests", "failed", "seconds", "by_server": {name: n}, "by_reason": {reason: n}, "failures": [{"at",
"reason", "took_s"}] (the first 1000), "first_failure", "last_failure", "slowest_s"}; times of day are the wall clock's.
--live renews a file with the same object, without the list. Exit status 1 when any request failed.
"""
import argparse
import asyncio
import collections
import json
import os
import signal
import sys
import time
import urllib.parse

FAILURES_KEPT = 1000


class BadAnswer(Exception):
    pass


def reason_of(error):
    if isinstance(error, BadAnswer):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "reset"
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    return f"{type(error).__name__}: {error}"


async def request(host, port, path):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, end, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not end:
        raise BadAnswer("cut short")
    if not lines[0].startswith("HTTP/1.1 200 "):
        raise BadAnswer(lines[0])
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key.lower() == "content-length" and int(value) != len(body):
            raise BadAnswer("cut short")
    return body.decode("latin-1").strip()


class Load:
    def __init__(self, options):
        self.options = options
        self.targets = []
        for url in options.urls:
            parts = urllib.parse.urlsplit(url)
            self.targets.append((parts.hostname, parts.port or 80, parts.path or "/"))
        self.stop = asyncio.Event()
        self.started = time.time()
        self.requests = 0
        self.failed = 0
        self.by_server = collections.Counter()
        self.by_reason = collections.Counter()
        self.failures = []
        self.last_failure = None
        self.slowest = 0.0

    async def one(self, target):
        began = time.time()
        try:
            server = await asyncio.wait_for(request(*target), self.options.timeout)
            self.by_server[server] += 1
        except (OSError, asyncio.TimeoutError, BadAnswer) as error:
            now = time.time()
            self.failed += 1
            self.last_failure = now
            self.by_reason[reason_of(error)] += 1
            if len(self.failures) < FAILURES_KEPT:
                self.failures.append({"at": now, "reason": reason_of(error), "took_s": round(now - began, 3)})
        self.slowest = max(self.slowest, time.time() - began)
        self.requests += 1

    async def worker(self, index):
        number = index
        interval = self.options.workers / self.options.rate if self.options.rate else 0
        due = time.time() + interval * index / self.options.workers
        while not self.stop.is_set():
            if interval:
                await self.pause(due - time.time())
                due = max(due + interval, time.time() - 1)  # after a stall, no flood to catch up
                if self.stop.is_set():
                    break
            await self.one(self.targets[number % len(self.targets)])
            number += 1

    async def pause(self, seconds):
        try:
            await asyncio.wait_for(self.stop.wait(), max(0, seconds))
        except asyncio.TimeoutError:
            pass

    def report(self, with_list=True):
        out = {"requests": self.requests, "failed": self.failed, "seconds": round(time.time() - self.started, 2),
               "by_server": dict(sorted(self.by_server.items())), "by_reason": dict(self.by_reason),
               "first_failure": self.failures[0]["at"] if self.failures else None,
               "last_failure": self.last_failure, "slowest_s": round(self.slowest, 3)}
        if with_list:
            out["failures"] = self.failures
        return out

    async def watch(self):
        while not self.stop.is_set():
            if self.options.live:
                with open(self.options.live + ".new", "w", encoding="utf-8") as file:
                    json.dump(self.report(with_list=False), file)
                os.rename(self.options.live + ".new", self.options.live)
            await self.pause(0.1)

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        if self.options.duration:
            loop.call_later(self.options.duration, self.stop.set)
        await asyncio.gather(self.watch(), *(self.worker(i) for i in range(self.options.workers)))
        return self.report()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0, help="requests a second, all workers; 0: as fast as they can")
    parser.add_argument("--duration", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds for a whole request")
    parser.add_argument("--live")
    parser.add_argument("urls", nargs="+")
    report = asyncio.run(Load(parser.parse_args()).run())
    print(json.dumps(report))
    return 1 if report["failed"] else 0


sys.exit(main())
