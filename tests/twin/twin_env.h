/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * twin_env.h - the ground of bpf/env.h in user space: the program's own headers compile on it unchanged (bpf/env.h
 * includes this when LB_TWIN is defined). Helpers are functions of twin.c; a map is whatever twin.c knows its address as.
 */
#pragma once
#define xdp_md twin_kernel_xdp_md /* its pointers are 32 bits wide */
#include <linux/bpf.h>
#undef xdp_md
#include <bpf/bpf_endian.h>
#include <linux/types.h>
#include <stdbool.h>

struct xdp_md {
	long data;
	long data_end;
	long room_begin; /* where adjust_head() may go */
	long room_end;   /* where adjust_tail() may go */
};

#define SEC(name)
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]
#define __noinline __attribute__((noinline))

/* libbpf has functions of these names. */
#define bpf_map_lookup_elem twin_map_lookup_elem
#define bpf_map_update_elem twin_map_update_elem
void *bpf_map_lookup_elem(const void *map, const void *key);
long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta);
long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta);
long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len);
long bpf_xdp_store_bytes(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len);
__u64 bpf_xdp_get_buff_len(const struct xdp_md *ctx);
__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size, __u32 seed);
long bpf_loop(__u32 n, long (*fn)(__u32, void *), void *arg, __u64 flags);
long bpf_redirect_map(const void *map, __u64 key, __u64 flags);
__u64 bpf_jiffies64(void);
void bpf_tail_call(struct xdp_md *ctx, const void *map, __u32 index);
