#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""udp_echo.py NAME PORT ADDRESS...: answers every datagram with "NAME " and its content.

One socket per address, so that the answer's source is the address that was asked: the VIP.
"""
import selectors
import socket
import sys


def main():
    name, port = sys.argv[1].encode(), int(sys.argv[2])
    selector = selectors.DefaultSelector()
    for address in sys.argv[3:]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((address, port))
        selector.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            data, peer = key.fileobj.recvfrom(65535)
            key.fileobj.sendto(name + b" " + data, peer)


main()
