#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A flood of TCP segments, SYNs by default, by the program `flood` of flood.bpf.c, pinned in DIR, out of interface IF.

  flood.py [--duration S] [--duty PERCENT] DIR IF ADDRESS PORT

Runs until SIGTERM or --duration, as fast as the machine goes, in bursts of 4096; --duty leaves the rest of the time to
others, who share the CPUs with it here as they would not in life. Then prints {"sent", "seconds"}.
"""
import argparse
import ctypes
import json
import os
import signal
import socket
import struct
import time

BPF_MAP_UPDATE_ELEM, BPF_OBJ_GET, BPF_PROG_TEST_RUN, NR_BPF = 2, 7, 10, 321
LIVE_FRAMES = 2
BURST = 4096
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    result = libc.syscall(NR_BPF, command, ctypes.create_string_buffer(attr, 128), 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def pinned(path):
    name = ctypes.create_string_buffer(path.encode())
    return bpf(BPF_OBJ_GET, struct.pack("<Q", ctypes.addressof(name)))


def segment(address, port, flags):
    tcp = struct.pack("!HHIIBBHHH", 1, port, 1, 0, 5 << 4, flags, 65535, 0, 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0x4000, 64, 6, 0, bytes(4), socket.inet_aton(address))
    return (bytes.fromhex("020000000001 020000000002 0800") + ip + tcp).ljust(64, b"\0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=60)
    parser.add_argument("--duty", type=float, default=100)
    parser.add_argument("--bare-acks", action="store_true", help="segments of no connection in place of SYNs")
    for name in ("dir", "interface", "address"):
        parser.add_argument(name)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))

    ifindex = socket.if_nametoindex(options.interface)
    frame = segment(options.address, options.port, 0x10 if options.bare_acks else 2)
    key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(frame + struct.pack("<II", ifindex, 0), 72)
    bpf(BPF_MAP_UPDATE_ELEM, struct.pack("<IIQQQ", pinned(options.dir + "/maps/flood_template"), 0,
                                         ctypes.addressof(key), ctypes.addressof(value), 0))
    packet = ctypes.create_string_buffer(frame, 64)
    context = ctypes.create_string_buffer(struct.pack("<6I", 0, 64, 0, 1, 0, 0), 24)
    attr = struct.pack("<IIIIQQIIIIQQIII", pinned(options.dir + "/flood"), 0, 64, 0, ctypes.addressof(packet), 0, BURST,
                       0, 24, 0, ctypes.addressof(context), 0, LIVE_FRAMES, 0, 64)
    sent, start = 0, time.monotonic()
    while not stop and time.monotonic() - start < options.duration:
        began = time.monotonic()
        try:
            bpf(BPF_PROG_TEST_RUN, attr)
        except InterruptedError:  # by SIGTERM, in the middle of a burst
            continue
        sent += BURST
        took = time.monotonic() - began
        time.sleep(took * (100 - options.duty) / options.duty)
    print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - start, 2)}))


main()
