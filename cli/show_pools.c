// SPDX-License-Identifier: Apache-2.0
/* show_pools.c - lbctl services, backends, table. */
#include "client.h"
#include "show.h"
#include "verbs.h"
#include "core/cleanup.h"

#include <string.h>

static json_t *service_args(const char *service)
{
	return service ? json_pack("{s:s}", "service", service) : NULL;
}

/* ---- services ---- */

static char *listen_text(const json_t *s)
{
	char *text = NULL;
	size_t len, i;
	json_t *vip;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	json_array_foreach (json_object_get(s, "vips"), i, vip) {
		const char *a = json_string_value(vip) ? json_string_value(vip) : "";

		fprintf(f, strchr(a, ':') ? "%s[%s]" : "%s%s", i ? ", " : "", a);
	}
	fprintf(f, " %s/%lld", show_get_text(s, "protocol"), (long long)show_get_int(s, "port"));
	return fclose(f) ? NULL : text;
}

static void print_services(const json_t *doc, struct lbctl *ctx)
{
	static const struct show_column columns[] = {
		{"SERVICE", 0},
		{"LISTENS", 0},
		{"STATE", 0},
		{"SERVING", SHOW_RIGHT},
		{"SLOTS", SHOW_RIGHT},
		{"SETTLED", SHOW_RIGHT},
		{"FLOWS", SHOW_RIGHT},
		{"PACKETS", SHOW_RIGHT},
		{"BYTES", SHOW_RIGHT},
		{"DIGEST", SHOW_TRUNCATE},
		{NULL, 0},
	};
	struct show_table *t = show_table_new(ctx, columns);
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(doc, "services"), i, s) {
		const json_t *backends = json_object_get(s, "backends");
		int64_t m = show_get_int(s, "table_size");
		_cleanup_free_ char *listens = listen_text(s);
		char serving[48], slots[24];

		snprintf(serving, sizeof(serving), "%lld/%lld", (long long)show_get_int(backends, "serving"),
			 (long long)show_get_int(backends, "total"));
		snprintf(slots, sizeof(slots), "%lld", (long long)m);
		show_table_row(t);
		show_put_text(t, show_get_text(s, "name"));
		show_put_text(t, listens ? listens : "");
		show_put_state(t, show_get_text(s, "state"));
		show_put_text(t, serving);
		show_put_text(t, slots);
		show_put(t, show_percent(m ? (double)show_get_int(json_object_get(s, "slots"), "settled") /
							 (double)m
					   : 1));
		show_put(t, show_count((uint64_t)show_get_int(s, "flows")));
		show_put(t, show_count((uint64_t)show_get_int(s, "packets")));
		show_put(t, show_bytes((uint64_t)show_get_int(s, "bytes")));
		show_put_text(t, show_get_text(s, "digest"));
	}
	show_table_print(t);
}

int verb_services(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"[SERVICE]",
		"Services: what they listen on, how they fare, their lookup tables.\v"
		"STATE is ok, degraded (some backend that should serve does not), panic (too few are "
		"healthy: all serve) or "
		"down (nobody serves). SETTLED is the share of slots that decide alone; the rest follow a "
		"change. DIGEST is "
		"equal on all balancers of a fleet that agree about the service.\n\n"
		"Examples:\n"
		"  lbctl services\n"
		"  lbctl services web --json | jq -r '.services[].digest'",
		NULL,
		NULL,
		NULL};
	struct lbctl_words words = {.max = 1};

	lbctl_parse(&argp, &words, argc, argv, ctx);
	return client_show(ctx, "services", service_args(words.word[0]), print_services);
}

/* ---- backends ---- */

struct backends_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	bool wide;
};

static error_t parse_backends(int key, char *arg, struct argp_state *state)
{
	struct backends_options *o = state->input;

	if (key != 'w')
		return lbctl_parse_words(key, arg, state);
	o->wide = true;
	return 0;
}

static char *weight_text(const json_t *b)
{
	char *s = NULL;
	int r;

	if (json_is_integer(json_object_get(b, "weight_override")))
		r = asprintf(&s, "%lld (%lld)", (long long)show_get_int(b, "weight"),
			     (long long)show_get_int(b, "weight_configured"));
	else
		r = asprintf(&s, "%lld", (long long)show_get_int(b, "weight"));
	return r < 0 ? NULL : s;
}

/* "slow-start 25%": how far a ramp has come. */
static char *state_text(const json_t *b)
{
	double admission = show_get_real(b, "admission");
	char *s = NULL;

	if (admission <= 0 || admission >= 1)
		return strdup(show_get_text(b, "state"));
	return asprintf(&s, "%s %.0f%%", show_get_text(b, "state"), admission * 100) < 0 ? NULL : s;
}

static char *probe_text(const json_t *b)
{
	const json_t *probe = json_object_get(b, "probe"), *last = json_object_get(probe, "last");
	int64_t streak = show_get_int(probe, "streak"), need;
	char *s = NULL, age[48] = "";
	bool up;

	if (!json_is_object(probe))
		return strdup("not probed");
	up = !strcmp(show_get_text(probe, "state"), "up");
	need = show_get_int(probe, up ? "fall" : "rise");
	if (streak)
		snprintf(age, sizeof(age), ", %lld of %lld %s", (long long)streak, (long long)need,
			 up ? "failed" : "good");
	if (!json_is_object(last))
		return strdup("not yet");
	return asprintf(&s, "%s %.1fms%s", show_get_text(last, "outcome"),
			(double)show_get_int(last, "latency_us") / 1e3, age) < 0
		       ? NULL
		       : s;
}

static void put_wide(struct show_table *t, const json_t *b)
{
	const json_t *nexthop = json_object_get(b, "nexthop");
	char generation[24], mtu[24];

	snprintf(generation, sizeof(generation), "%lld", (long long)show_get_int(b, "generation"));
	snprintf(mtu, sizeof(mtu), "%lld", (long long)show_get_int(nexthop, "mtu"));
	show_put_text(t, show_get_text(b, "encapsulation"));
	show_put_text(t, mtu);
	show_put_text(t, generation);
	show_put_text(t, show_get_text(nexthop, "text"));
}

static void print_backends(const json_t *doc, const struct lbctl *ctx, bool wide)
{
	const struct show_column columns[] = {
		{"SERVICE", 0},
		{"BACKEND", 0},
		{"ADDRESS", 0},
		{"STATE", 0},
		{"SINCE", SHOW_RIGHT},
		{"WEIGHT", SHOW_RIGHT},
		{"SHARE", SHOW_RIGHT},
		{"PACKETS", SHOW_RIGHT},
		{"PROBE", 0},
		{wide ? "ENCAP" : "REASON", wide ? 0 : SHOW_TRUNCATE},
		{wide ? "MTU" : NULL, SHOW_RIGHT},
		{"GEN", SHOW_RIGHT},
		{"NEXT HOP", 0},
		{"REASON", 0},
		{NULL, 0},
	};
	int64_t now = show_get_int(doc, "time_ns");
	struct show_table *t = show_table_new(ctx, columns);
	size_t i;
	json_t *b;

	json_array_foreach (json_object_get(doc, "backends"), i, b) {
		_cleanup_free_ char *state = state_text(b);
		const char *reason = show_get_text(b, "reason");
		_cleanup_free_ char *why = NULL;

		show_table_row(t);
		show_put_text(t, show_get_text(b, "service"));
		show_put_text(t, show_get_text(b, "name"));
		show_put_text(t, show_get_text(b, "address"));
		show_put_state_as(t, state ? state : "", show_get_text(b, "state"));
		show_put(t, show_age(show_get_int(b, "since_ns"), now));
		show_put(t, weight_text(b));
		show_put(t, show_percent(show_get_real(b, "share")));
		show_put(t, show_count((uint64_t)show_get_int(b, "packets")));
		show_put(t, probe_text(b));
		if (wide)
			put_wide(t, b);
		else if (json_is_false(json_object_get(json_object_get(b, "nexthop"), "ok")) &&
			 asprintf(&why, "no next hop: %s",
				  show_get_text(json_object_get(b, "nexthop"), "text")) >= 0)
			reason = why;
		show_put_text(t, reason);
	}
	show_table_print(t);
}

int verb_backends(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"wide", 'w', NULL, 0, "Also encapsulation, MTU, generation and next hop", 0},
		{0},
	};
	static const struct argp argp = {
		options,
		parse_backends,
		"[SERVICE]",
		"Backends: who serves, how much, and why the others do not.\v"
		"STATE: healthy, slow-start (with its fraction), suspect, ejected, unhealthy-draining (no "
		"new flows; "
		"established stay), down (flows given up), draining, drained, disabled, unknown (not probed "
		"yet). "
		"WEIGHT 50 (100): the operator's, and the configured one. SHARE: of the service's slots, "
		"now.\n\n"
		"Examples:\n"
		"  lbctl backends web\n"
		"  lbctl backends --json | jq -r '.backends[] | select(.state == \"down\") | .address'",
		NULL,
		NULL,
		NULL};
	struct backends_options o = {.words.max = 1};
	json_t *doc;
	int r;

	lbctl_parse(&argp, &o, argc, argv, ctx);
	r = client_call(ctx, "backends", service_args(o.words.word[0]), &doc);
	if (r)
		return r;
	if (ctx->json)
		show_json(doc);
	else
		print_backends(doc, ctx, o.wide);
	json_decref(doc);
	return LBCTL_OK;
}

/* ---- table ---- */

/* What became of the packets that met a slot in transition, since the maps were loaded. */
static void print_steering(const json_t *doc)
{
	static const struct {
		const char *key, *words;
	} parts[] = {
		{"syn", "SYN"},
		{"hit", "remembered"},
		{"miss_alt", "unknown, to the previous owner"},
		{"miss_new", "unknown, as their SYN"},
		{"miss_current", "unknown, to the current owner"},
		{"stale", "of a backend that was given up"},
		{"insert", "flows remembered"},
		{"expire", "flows ended"},
		{"budget_drop", "flows not remembered: budget"},
		{"table_full", "flows not remembered: table full"},
	};
	const json_t *steer = json_object_get(doc, "steering");

	printf("%lld tracked flows; %lld packets met a slot in transition\n", (long long)show_get_int(doc, "flows"),
	       (long long)show_get_int(steer, "lookup"));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (show_get_int(steer, parts[i].key))
			printf("  %-12s %lld (%s)\n", parts[i].key, (long long)show_get_int(steer, parts[i].key),
			       parts[i].words);
}

static void print_table(const json_t *doc, struct lbctl *ctx)
{
	static const struct show_column columns[] = {
		{"BACKEND", 0},
		{"ADDRESS", 0},
		{"STATE", 0},
		{"WEIGHT", SHOW_RIGHT},
		{"DUE", SHOW_RIGHT},
		{"OWN SLOTS", SHOW_RIGHT},
		{"SERVES NOW", SHOW_RIGHT},
		{"SHARE NOW", SHOW_RIGHT},
		{"GEN", SHOW_RIGHT},
		{NULL, 0},
	};
	const json_t *slots = json_object_get(doc, "slots");
	struct show_table *t = show_table_new(ctx, columns);
	char number[24];
	size_t i;
	json_t *b;

	json_array_foreach (json_object_get(doc, "backends"), i, b) {
		show_table_row(t);
		show_put_text(t, show_get_text(b, "name"));
		show_put_text(t, show_get_text(b, "address"));
		show_put_state(t, show_get_text(b, "state"));
		snprintf(number, sizeof(number), "%lld", (long long)show_get_int(b, "weight"));
		show_put_text(t, number);
		show_put(t, show_percent(show_get_real(b, "weight_share")));
		snprintf(number, sizeof(number), "%lld", (long long)show_get_int(b, "own_slots"));
		show_put_text(t, number);
		snprintf(number, sizeof(number), "%lld", (long long)show_get_int(b, "slots"));
		show_put_text(t, number);
		show_put(t, show_percent(show_get_real(b, "share")));
		snprintf(number, sizeof(number), "%lld", (long long)show_get_int(b, "generation"));
		show_put_text(t, number);
	}
	show_table_print(t);
	printf("%lld slots: %lld settled, %lld in their grace time, %lld after it; digest %s\n",
	       (long long)show_get_int(doc, "table_size"), (long long)show_get_int(slots, "settled"),
	       (long long)show_get_int(slots, "p1"), (long long)show_get_int(slots, "p2"),
	       show_get_text(doc, "digest"));
	print_steering(doc);
	if (show_get_int(doc, "unserved_slots"))
		printf("%lld slots have no backend: their packets are dropped\n",
		       (long long)show_get_int(doc, "unserved_slots"));
}

int verb_table(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"SERVICE",
		"How a service's lookup table is shared out: what each backend is due, owns and serves now.\v"
		"DUE is the share by weight, OWN SLOTS the quota in the full table (healthy or not), SERVES "
		"NOW what the "
		"packets see. A failed backend's slots are with the others; nobody else's move. GEN counts up when "
		"a backend's flows are given up. Below: how many slots are in transition, and what became of "
		"the packets that met one.",
		NULL,
		NULL,
		NULL};
	struct lbctl_words words = {.min = 1, .max = 1};

	lbctl_parse(&argp, &words, argc, argv, ctx);
	return client_show(ctx, "table", service_args(words.word[0]), print_table);
}
