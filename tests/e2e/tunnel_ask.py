#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tunnel_ask.py INTERFACE HOST4 HOST6 VIP4 VIP6 PORT: which tunnels does the host unpack?

Sends one UDP datagram for the VIP in every kind of tunnel that a balancer may use, each from another client port, and
prints the kinds that were answered. The answer must come from the VIP, not wrapped in anything."""
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import IP, UDP, AsyncSniffer, Ether, IPv6, Raw, conf, sendp  # noqa: E402

interface, host4, host6, vip4, vip6, port = sys.argv[1:]
port = int(port)
conf.verb = 0
CLIENT4, CLIENT6, GUE = "10.0.1.9", "fd00:1::9", 6080
KINDS = {40000: "4in4", 40001: "6in4", 40002: "4in6", 40003: "6in6",
         40004: "4-gue4", 40005: "6-gue4", 40006: "4-gue6", 40007: "6-gue6"}


def inner(version, sport):
    ip = IP(src=CLIENT4, dst=vip4) if version == "4" else IPv6(src=CLIENT6, dst=vip6)
    return ip / UDP(sport=sport, dport=port) / Raw(b"ask")


def outer(kind):
    if kind[-1] == "4":
        return IP(src="10.0.0.1", dst=host4)
    return IPv6(src="fd00::1", dst=host6)


def frame(mac, sport, kind):
    packet = inner(kind[0], sport)
    if "gue" in kind:
        # Variant 1: the packet follows the UDP header at once.
        return Ether(dst=mac) / outer(kind) / UDP(sport=50000, dport=GUE) / Raw(bytes(packet))
    tunnel = outer(kind)
    if isinstance(tunnel, IP):
        tunnel.proto = 4 if kind[0] == "4" else 41
    else:
        tunnel.nh = 4 if kind[0] == "4" else 41
    return Ether(dst=mac) / tunnel / packet


def answered(packets):
    for p in packets:
        if UDP in p and p[UDP].sport == port and p.payload.src in (vip4, vip6) and p.payload.payload.name == "UDP":
            yield KINDS.get(p[UDP].dport)


mac = sys.stdin.readline().strip()
sniffer = AsyncSniffer(iface=interface, filter=f"udp and src port {port}", timeout=5, count=len(KINDS),
                       started_callback=lambda: sendp([frame(mac, s, k) for s, k in KINDS.items()], iface=interface))
sniffer.start()
sniffer.join()
print(" ".join(sorted(filter(None, answered(sniffer.results)))))
