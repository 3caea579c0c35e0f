// SPDX-License-Identifier: Apache-2.0
/* handlers_inspect.c - the verbs that look closer: flows, explain, doctor. */
#include "handlers_internal.h"

#include "core/cleanup.h"
#include "core/request.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* ---- flows ------------------------------------------------------------------------------------------------------- */

static int check_range(const char *name, int value, int min, int max, struct err *err)
{
	if (value >= min && value <= max)
		return 0;
	return err_set(err, -EINVAL, "%s: %d is out of range: %d to %d", name, value, min, max);
}

int handle_flows(void *userdata, json_t *args, json_t **data, struct err *err)
{
	_cleanup_(flowlist_done) struct flowlist list = { 0 };
	int limit = FLOWLIST_LIMIT_DEFAULT, from = 0;
	const char *service = NULL;
	int r = request_unpack(args, err, "{s?s, s?i, s?i}", "service", &service, "limit", &limit, "from", &from);
	struct engine *e;

	if (r == 0)
		r = check_range("limit", limit, 0, FLOWLIST_LIMIT_MAX, err);
	if (r == 0)
		r = check_range("from", from, 0, 1 << 24, err);
	if (r < 0)
		return r;
	e = handlers_engine(userdata, err);
	if (!e)
		return -EBUSY;
	if (flowlist_init(&list, (__u32)limit, (__u32)from) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = engine_list_flows(e, service, &list, err);
	return r < 0 ? r : flowlist_report(&list, handlers_now_real(), data, err);
}

/* ---- explain ----------------------------------------------------------------------------------------------------- */

struct explain_words {
	const char *protocol, *source, *destination, *flags;
	int source_port, port, syn, size;
};

static int parse_address(const char *name, const char *text, struct lb_addr *out, struct err *err)
{
	if (addr_parse(text, out) == 0)
		return 0;
	return err_set(err, -EINVAL, "%s: \"%.60s\" is not an IPv4 or IPv6 address", name, text);
}

static int to_query(const struct explain_words *w, struct explain_query *q, struct err *err)
{
	int r = 0;

	if (strcmp(w->protocol, "tcp") && strcmp(w->protocol, "udp"))
		return err_set(err, -EINVAL, "protocol: \"%.40s\" is neither tcp nor udp", w->protocol);
	q->protocol = !strcmp(w->protocol, "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	r = parse_address("source", w->source, &q->src, err);
	if (r == 0)
		r = parse_address("destination", w->destination, &q->dst, err);
	if (r == 0)
		r = check_range("source_port", w->source_port, 1, 65535, err);
	if (r == 0)
		r = check_range("port", w->port, 1, 65535, err);
	if (r == 0)
		r = check_range("size", w->size, 0, EXPLAIN_SIZE_MAX, err);
	if (r == 0 && w->syn && w->flags)
		r = err_set(err, -EINVAL, "syn and flags: give one of them");
	if (r == 0 && w->flags)
		r = explain_parse_flags(w->flags, &q->tcp_flags, err);
	else if (r == 0 && q->protocol == IPPROTO_TCP)
		q->tcp_flags = w->syn ? 0x02 : 0x10;
	q->sport = (__u16)w->source_port;
	q->dport = (__u16)w->port;
	q->size = (__u32)w->size;
	return r == 0 ? explain_check(q, err) : r;
}

int handle_explain(void *userdata, json_t *args, json_t **data, struct err *err)
{
	struct explain_words w = { .source_port = 40000 };
	struct explain_query q = { 0 };
	struct explain x;
	struct engine *e;
	int r = request_unpack(args, err, "{s:s, s:s, s?i, s:s, s:i, s?b, s?s, s?i}", "protocol", &w.protocol, "source",
			       &w.source, "source_port", &w.source_port, "destination", &w.destination, "port", &w.port,
			       "syn", &w.syn, "flags", &w.flags, "size", &w.size);

	if (r == 0)
		r = to_query(&w, &q, err);
	if (r < 0)
		return r;
	e = handlers_engine(userdata, err);
	if (!e)
		return -EBUSY;
	r = engine_explain(e, &q, &x, err);
	return r < 0 ? r : explain_report(&x, handlers_now_real(), data, err);
}

/* ---- doctor ------------------------------------------------------------------------------------------------------ */

int handle_doctor(void *userdata, json_t *args, json_t **data, struct err *err)
{
	int r = request_unpack(args, err, "{}");
	struct engine *e = r < 0 ? NULL : handlers_engine(userdata, err);

	return r < 0 ? r : e ? engine_doctor(e, data, err) : -EBUSY;
}
