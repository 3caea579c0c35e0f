// SPDX-License-Identifier: Apache-2.0
/* document.c - see document.h. */
#include "core/document.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *document_time(__u64 ns, char buf[DOCUMENT_TIME_LEN])
{
	__u64 days = ns / 1000000000ull / 86400, s = ns / 1000000000ull % 86400, era, doe, yoe, doy, mp, year;

	/*
	 * Civil date from a day count, in eras of 400 years that begin on March 1st (leap days then come
	 * last). Own arithmetic because gmtime_r() looks at the environment's time zone files, and this file
	 * is pure.
	 */
	days += 719468;
	era = days / 146097;
	doe = days % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	year = era * 400 + yoe + (mp >= 10);
	/* The remainders say nothing new; they show the compiler that the text fits. */
	snprintf(buf, DOCUMENT_TIME_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned int)(year % 10000),
		 (unsigned int)((mp < 10 ? mp + 3 : mp - 9) % 100),
		 (unsigned int)((doy - (153 * mp + 2) / 5 + 1) % 100), (unsigned int)(s / 3600 % 100),
		 (unsigned int)(s / 60 % 60), (unsigned int)(s % 60), (unsigned int)(ns / 1000000 % 1000));
	return buf;
}

json_t *document_text(const char *s)
{
	json_t *j = json_string(s);
	char *copy;

	if (j || !s)
		return j;
	copy = strdup(s);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

json_t *document_u64(__u64 v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

json_t *document_hex64(__u64 v)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "0x%016llx", (unsigned long long)v);
	return json_string(buf);
}

json_t *document_addr(const struct lb_addr *a)
{
	char buf[ADDR_STRLEN];

	return json_string(addr_format(a, buf));
}

json_t *document_share(__u64 part, __u64 whole)
{
	return json_real(whole ? round((double)part / (double)whole * 1e6) / 1e6 : 0.0);
}

int document_set_time(json_t *o, const char *key, __u64 ns)
{
	char buf[DOCUMENT_TIME_LEN], key_ns[64];

	snprintf(key_ns, sizeof(key_ns), "%s_ns", key);
	if (!ns)
		return json_object_set_new(o, key, json_null()) || json_object_set_new(o, key_ns, json_null())
			       ? -1
			       : 0;
	return json_object_set_new(o, key, json_string(document_time(ns, buf))) ||
			       json_object_set_new(o, key_ns, document_u64(ns))
		       ? -1
		       : 0;
}

json_t *document_new(const char *name, int version, __u64 now_ns)
{
	json_t *o = json_pack("{s:s, s:i}", "document", name, "version", version);

	if (document_set_time(o, "time", now_ns)) {
		json_decref(o);
		return NULL;
	}
	return o;
}
