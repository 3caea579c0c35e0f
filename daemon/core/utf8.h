/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - decode UTF-8 strictly, one character at a time. */
#pragma once
#include <linux/types.h>
#include <stdbool.h>

/*
 * Length in bytes (1..4) of the character at @p, @p < @end, its code point in *@cp. 0 when the bytes are no
 * UTF-8: stray or missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF. *@cp is then the
 * first byte.
 */
unsigned int utf8_decode(const char *p, const char *end, __u32 *cp);
/* True for C0 and C1 control characters, DEL, line and paragraph separators: what must not reach a terminal.
 */
bool utf8_is_control(__u32 cp);
