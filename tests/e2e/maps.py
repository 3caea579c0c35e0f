#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the pinned maps of a balancer say, as one JSON object that two runs can be compared by.

  maps.py PIN-DIR

Ids are replaced by addresses, times and counts of the way there are left out: {"services": {name: {...}}, "backends":
{service/address: {...}}, "slots": {service: {"current alt phase": number of slots, ...}}, "owners": {service: CRC of the
owner of each slot, of its alt and phase}, "keys": n}.
"""
import collections
import ctypes
import ipaddress
import json
import mmap
import os
import struct
import sys
import zlib

BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, NR_BPF = 7, 15, 321
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    buffer = ctypes.create_string_buffer(attr, 128)
    result = libc.syscall(NR_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Array:
    def __init__(self, path):
        name = ctypes.create_string_buffer(path.encode())
        fd = bpf(BPF_OBJ_GET, struct.pack("<Q", ctypes.addressof(name)))
        info = ctypes.create_string_buffer(256)
        bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, 80, ctypes.addressof(info)))
        _, _, _, self.size, self.n = struct.unpack_from("<5I", info)
        self.bytes = mmap.mmap(fd, (self.size * self.n + 4095) & ~4095, mmap.MAP_SHARED, mmap.PROT_READ)

    def __getitem__(self, i):
        return self.bytes[i * self.size:(i + 1) * self.size]


def text(raw):
    return raw.split(b"\0")[0].decode()


def main():
    pins = sys.argv[1]
    maps = {name: Array(f"{pins}/{name}") for name in
            ("services", "backends", "backend_info", "slots", "slot_x", "svc4", "svc6", "backend_spares")}
    services, backends, names, places = {}, {}, {}, {}
    for sid in range(1, maps["services"].n):
        raw = maps["services"][sid]
        name, (val, *times) = text(raw[:64]), struct.unpack_from("<Q4IQ", raw, 64)
        if val:
            services[name] = {"id": sid, "flags": val >> 12 & 0xff, "slots": val >> 20 & 0xfffff, "times": times}
            places[name] = (val >> 40, val >> 20 & 0xfffff)
            names[sid] = name
    who = {0: "-"}
    for bidx in range(1, maps["backend_info"].n):
        raw = maps["backend_info"][bidx]
        sid, forward, admin, weight, override, state, admission, _, ending = struct.unpack_from("<HBBIiIIIQ", raw, 16)
        if sid not in names:
            continue
        line = maps["backends"][bidx]
        moved = line[50] == 7  # in force by its spare
        line = maps["backend_spares"][bidx] if moved else line
        address = ipaddress.IPv6Address(raw[:16])
        who[bidx] = str(address.ipv4_mapped or address)
        backends[f"{names[sid]}/{who[bidx]}"] = {
            "forward": forward, "admin": admin, "weight": weight, "override": override, "state": state,
            "admission": admission, "ending": ending, "encap": line[50], "generation": line[51], "mtu": line[48:50].hex()}
    slots, owners = {}, {}
    for name, (first, m) in places.items():
        kinds, crc = collections.Counter(), 0
        words = struct.unpack_from(f"<{m}H", maps["slots"].bytes, first * 64)
        stories = struct.unpack_from(f"<{m}Q", maps["slot_x"].bytes, first * 32 * 8)
        for word, story in zip(words, stories):
            kind = who.get(word & 0x7fff, f"unknown {word & 0x7fff}")
            if word & 0x8000:
                kind += f" alt {who.get(story & 0x7fff, '?')} phase {story >> 24 & 0xff}"
            kinds[kind] += 1
            crc = zlib.crc32(kind.encode(), crc)
        slots[name], owners[name] = kinds, crc
    keys = sum(1 for i in range(0, maps["svc4"].size * maps["svc4"].n, 16) if any(maps["svc4"].bytes[i:i + 8]))
    keys += sum(1 for i in range(0, maps["svc6"].size * maps["svc6"].n, 32) if any(maps["svc6"].bytes[i + 16:i + 24]))
    print(json.dumps({"services": services, "backends": backends, "slots": slots, "owners": owners, "keys": keys},
                     sort_keys=True))


main()
