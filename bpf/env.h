/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * env.h - the ground the program's headers stand on: kernel and libbpf headers, loads, hints to the compiler.
 */
#pragma once
#ifdef LB_TWIN
#include "twin_env.h" /* tests/twin: the same headers in user space */
#define LB_RODATA volatile
#else
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#define LB_RODATA const volatile
#endif
#include "lb/abi.h"
#include "lb/flow.h"
#include "lb/hash.h"
#include "lb/params.h"

/* Inlined code is free, a BPF subprogram call costs 7 ns: everything on the common path is inlined. */
#define AI static inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Make the compiler forget what it knows of a value, so that it keeps a bounds check the verifier wants to see. */
#define lb_opaque(x) asm volatile("" : "+r"(x))

#define LB_LOAD16(p) (*(const volatile __u16 *)(p))
#define LB_LOAD32(p) (*(const volatile __u32 *)(p))
#define LB_LOAD64(p) (*(const volatile __u64 *)(p))

/* From <linux/in.h>, <linux/if_ether.h>: only these few, host order. */
enum {
	LB_IPPROTO_ICMP = 1,
	LB_IPPROTO_IPIP = 4,
	LB_IPPROTO_TCP = 6,
	LB_IPPROTO_UDP = 17,
	LB_IPPROTO_IPV6 = 41,
	LB_IPPROTO_ICMPV6 = 58,
	LB_ETH_IP = 0x0800,
	LB_ETH_VLAN = 0x8100,
	LB_ETH_IPV6 = 0x86dd,
	LB_ETH_QINQ = 0x88a8,
};

AI __u16 lb_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return sum + (sum >> 16);
}

AI __u16 lb_swap(__u32 x)
{
	return __builtin_bswap16((__u16)x);
}
