// SPDX-License-Identifier: Apache-2.0
/* config_value.c - see config_value.h. */
#include "core/config_value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UINT_SATURATED 1000000000000000ull
#define DURATION_MAX_MS (1000ull * 3600 * 1000)

/* Digits from *@p on; *@p is left behind them. */
static int take_uint(const char **p, __u64 *out)
{
	const char *s = *p;
	__u64 v = 0;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		/* Beyond, it is too large for everything; only the form still matters. */
		if (v < UINT_SATURATED)
			v = v * 10 + (__u64)(*s - '0');
	}
	*p = s;
	*out = v;
	return 0;
}

int value_parse_uint(const char *text, __u64 *out)
{
	__u64 v;

	if (take_uint(&text, &v) || *text)
		return -EINVAL;
	if (v > 0xffffffffull)
		return -ERANGE;
	*out = v;
	return 0;
}

int value_parse_percent(const char *text, __u64 *out)
{
	__u64 v;

	if (take_uint(&text, &v))
		return -EINVAL;
	if (*text == '%')
		text++;
	if (*text)
		return -EINVAL;
	if (v > 100)
		return -ERANGE;
	*out = v;
	return 0;
}

/* clang-format off */
static const struct {
	const char *name;
	__u64 ms;
} units[] = { { "h", 3600 * 1000 }, { "m", 60 * 1000 }, { "s", 1000 }, { "ms", 1 } };
/* clang-format on */
#define N_UNITS (sizeof(units) / sizeof(units[0]))

int value_parse_duration_ms(const char *text, __u64 *out_ms)
{
	__u64 v;

	if (take_uint(&text, &v))
		return -EINVAL;
	for (unsigned int i = 0; i < N_UNITS; i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (v > DURATION_MAX_MS / units[i].ms)
			return -ERANGE;
		*out_ms = v * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

const char *value_format_duration_ms(__u64 ms, char buf[VALUE_DURATION_STRLEN])
{
	unsigned int i = ms ? 0 : 2; /* nothing is "0s", not "0h" */

	while (ms % units[i].ms)
		i++;
	snprintf(buf, VALUE_DURATION_STRLEN, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
	return buf;
}

int value_parse_endpoint(const char *text, struct lb_addr *addr, __u16 *port)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	char host[ADDR_STRLEN];
	struct lb_addr a;
	size_t len;
	__u64 v;

	if (!colon || value_parse_uint(colon + 1, &v))
		return -EINVAL;
	len = (size_t)(colon - text);
	if (bracketed) {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (!len || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	/* Brackets belong to IPv6 and to nothing else: without them "::1:80" would have two readings. */
	if (addr_parse(host, &a) || addr_is_v4(&a) == bracketed)
		return -EINVAL;
	if (v < 1 || v > 65535)
		return -ERANGE;
	*addr = a;
	*port = (__u16)v;
	return 0;
}

int value_parse_status_range(const char *text, __u16 *from, __u16 *to)
{
	__u64 a, b;

	if (take_uint(&text, &a))
		return -EINVAL;
	b = a;
	if (*text == '-') {
		text++;
		if (take_uint(&text, &b))
			return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	if (a < 100 || b > 599 || a > b)
		return -ERANGE;
	*from = (__u16)a;
	*to = (__u16)b;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_hex(const char *text, __u8 *out, size_t size, __u32 *len)
{
	size_t n = 0;

	while (*text) {
		int hi, lo;

		if (*text == ' ') {
			text++;
			continue;
		}
		hi = hex_digit(text[0]);
		lo = hi < 0 ? -1 : hex_digit(text[1]);
		if (lo < 0)
			return -EINVAL;
		if (n == size)
			return -ERANGE;
		out[n++] = (__u8)(hi << 4 | lo);
		text += 2;
	}
	*len = (__u32)n;
	return 0;
}

int value_parse_data(const char *text, __u8 *out, size_t size, __u32 *len)
{
	size_t n = strlen(text);

	if (strncmp(text, "hex:", 4) == 0)
		return parse_hex(text + 4, out, size, len);
	if (n > size)
		return -ERANGE;
	memcpy(out, text, n);
	*len = (__u32)n;
	return 0;
}
