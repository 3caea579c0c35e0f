#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dns_root.py PORT RCODE-FILE - a name server for one question (the root's NS), on all addresses of both families.

While RCODE-FILE exists, answers carry the response code in it. It answers from the address that was asked.
"""
import os
import select
import socket
import struct
import sys

PKTINFO4 = 8  # IP_PKTINFO


def answer(query, rcode):
    """The query's id and question, one NS record."""
    if len(query) < 17 or query[2] & 0x80:
        return None
    flags = 0x8180 | rcode
    header = query[:2] + struct.pack("!HHHHH", flags, 1, 0 if rcode else 1, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 2, 1, 3600, 20) + b"\x01a\x0croot-servers\x03net\x00"
    return header + query[12:17] + (b"" if rcode else record)


def serve(port, rcode_file):
    """Until killed."""
    socks = []
    for family, level, option in ((socket.AF_INET, socket.IPPROTO_IP, PKTINFO4),
                                  (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(level, option, 1)
        sock.bind(("", port))
        socks.append(sock)
    while True:
        for sock in select.select(socks, [], [])[0]:
            query, info, _, peer = sock.recvmsg(512, 256)
            rcode = 0
            if os.path.exists(rcode_file):
                with open(rcode_file, encoding="ascii") as f:
                    rcode = int(f.read() or 0)
            reply = answer(query, rcode)
            back = []
            for level, kind, data in info:
                if level == socket.IPPROTO_IP and kind == PKTINFO4:
                    # ifindex 0: by the routes; source: the address that was asked
                    data = struct.pack("=I", 0) + data[8:12] + bytes(4)
                elif level == socket.IPPROTO_IPV6:
                    data = data[:16] + struct.pack("=I", 0)
                back.append((level, kind, data))
            if reply:
                sock.sendmsg([reply], back, 0, peer)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
