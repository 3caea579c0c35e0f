// SPDX-License-Identifier: Apache-2.0
/* utf8.c - see utf8.h. */
#include "core/utf8.h"

unsigned int utf8_decode(const char *p, const char *end, __u32 *cp)
{
	/* The smallest code point that needs so many bytes: anything smaller is an overlong form. */
	static const __u32 smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = (const unsigned char *)p;
	unsigned int len, i;
	__u32 v;

	*cp = s[0];
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc0 && s[0] < 0xe0)
		len = 2, v = s[0] & 0x1fu;
	else if (s[0] >= 0xe0 && s[0] < 0xf0)
		len = 3, v = s[0] & 0x0fu;
	else if (s[0] >= 0xf0 && s[0] < 0xf8)
		len = 4, v = s[0] & 0x07u;
	else
		return 0;
	if (end - p < (long)len)
		return 0;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3fu);
	}
	if (v < smallest[len] || (v >= 0xd800 && v <= 0xdfff) || v > 0x10ffff)
		return 0;
	*cp = v;
	return len;
}

bool utf8_is_control(__u32 cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029;
}
