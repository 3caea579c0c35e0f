// SPDX-License-Identifier: Apache-2.0
/* frame.c - the benchmark's frames: 10.x.y.z or 2001:db8:: -> 203.0.113.n or 2001:db8:ffff::n, port 80. */
#include "bench.h"

#include <arpa/inet.h>
#include <string.h>

#define VIP4 0xcb007100u
#define ETH 14
#define PAYLOAD 20

static unsigned char *bytes(struct bench_cfg *c)
{
	return (unsigned char *)c->frame;
}

static void put16(unsigned char *at, unsigned int v)
{
	at[0] = (unsigned char)(v >> 8);
	at[1] = (unsigned char)v;
}

static void put32(unsigned char *at, __u32 v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static void ethernet(struct bench_cfg *c, unsigned int type)
{
	static const unsigned char macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

	memcpy(bytes(c), macs, sizeof(macs));
	put16(bytes(c) + 12, type);
}

static void ip4(unsigned char *h, unsigned int len, unsigned int proto, __u32 src, __u32 dst)
{
	__u32 sum = 0;

	h[0] = 0x45;
	put16(h + 2, len);
	put16(h + 6, 0x4000);
	h[8] = 64;
	h[9] = (unsigned char)proto;
	put32(h + 12, src);
	put32(h + 16, dst);
	for (int i = 0; i < 20; i += 2)
		sum += (__u32)h[i] << 8 | h[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(h + 10, ~(sum + (sum >> 16)) & 0xffff);
}

static void ip6(unsigned char *h, unsigned int len, unsigned int proto)
{
	static const unsigned char src[16] = { 0x20, 1, 0xd, 0xb8 }, dst[16] = { 0x20, 1, 0xd, 0xb8, 0xff, 0xff };

	h[0] = 0x60;
	put16(h + 4, len);
	h[6] = (unsigned char)proto;
	h[7] = 64;
	memcpy(h + 8, src, 16);
	memcpy(h + 24, dst, 16);
}

static void tcp(unsigned char *h, unsigned int flags)
{
	put16(h + 2, 80);
	h[12] = 0x50;
	h[13] = (unsigned char)flags;
	put16(h + 14, 0xffff);
}

static void frame4(struct bench_cfg *c, unsigned int proto, unsigned int flags)
{
	unsigned char *l4 = bytes(c) + ETH + 20;

	ethernet(c, 0x0800);
	ip4(bytes(c) + ETH, 40 + PAYLOAD, proto, 0x0a000001, VIP4);
	if (proto == 6) {
		tcp(l4, flags);
	} else {
		put16(l4 + 2, 80);
		put16(l4 + 4, 20 + PAYLOAD);
	}
	c->len = ETH + 40 + PAYLOAD;
	c->off_addr = ETH + 12;
	c->off_port = ETH + 20;
	c->off_vip = ETH + 16;
	c->vip = VIP4;
}

static void frame6(struct bench_cfg *c, unsigned int flags)
{
	ethernet(c, 0x86dd);
	ip6(bytes(c) + ETH, 20 + PAYLOAD, 6);
	tcp(bytes(c) + ETH + 40, flags);
	c->len = ETH + 60 + PAYLOAD;
	c->off_addr = ETH + 8 + 12;
	c->off_port = ETH + 40;
	c->off_vip = ETH + 24 + 12;
}

/* Host unreachable about a packet that a backend sent from the VIP: the client's address and port are in the quote. */
static void icmp4(struct bench_cfg *c)
{
	unsigned char *ip = bytes(c) + ETH, *icmp = ip + 20, *quote = icmp + 8;

	ethernet(c, 0x0800);
	ip4(ip, 20 + 8 + 20 + 8, 1, 0xc0000201, VIP4);
	icmp[0] = 3;
	icmp[1] = 1;
	ip4(quote, 60, 6, VIP4, 0x0a000001);
	put16(quote + 20, 80);
	c->len = ETH + 20 + 8 + 20 + 8;
	c->off_addr = ETH + 28 + 16;
	c->off_port = ETH + 48 + 2;
	c->off_vip = ETH + 28 + 12;
	c->vip = VIP4;
}

void frame_make(struct bench_cfg *c, enum frame_kind kind, unsigned int services)
{
	memset(c, 0, sizeof(*c));
	c->vips = services;
	switch (kind) {
	case FRAME_TCP4:
		frame4(c, 6, 0x10);
		break;
	case FRAME_SYN4:
		frame4(c, 6, 0x02);
		break;
	case FRAME_UDP4:
		frame4(c, 17, 0);
		break;
	case FRAME_OTHER4:
		frame4(c, 6, 0x10);
		c->vip = 0xc6336401; /* 198.51.100.1 is no VIP */
		break;
	case FRAME_ARP:
		frame4(c, 6, 0x10);
		put16(bytes(c) + 12, 0x0806);
		break;
	case FRAME_TCP6:
		frame6(c, 0x10);
		break;
	case FRAME_SYN6:
		frame6(c, 0x02);
		break;
	case FRAME_ICMP4:
		icmp4(c);
		break;
	}
	/* The very first packet of a run is the frame as it is. */
	put32(bytes(c) + c->off_vip, c->vip);
	c->words = c->len > 96 ? 16 : c->len > 64 ? 12 : 8;
	if (c->len < c->words * 8)
		c->len = c->words * 8; /* padded, as short frames on a wire are */
}
