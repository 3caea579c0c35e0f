// SPDX-License-Identifier: Apache-2.0
/*
 * probe.c - lbctl probe: probe a backend now and wait for the result.
 *
 * The daemon starts the probe and answers at once (its loop waits for nobody); the result shows in the
 * "backends" document, whose count of checks has then grown. A backend's own timeout bounds the wait.
 */
#include "client.h"
#include "show.h"
#include "verbs.h"
#include "core/addr.h"

#include <string.h>
#include <time.h>

#define LOOK_EVERY_MS 50
#define WAIT_AT_MOST_MS 30000

/* The backend in a "backends" document, by name or address; NULL when it is not there. Borrowed. */
static json_t *pick(const json_t *doc, const char *backend)
{
	struct lb_addr a;
	char text[ADDR_STRLEN] = "";
	size_t i;
	json_t *b;

	if (addr_parse(backend, &a) == 0)
		(void)addr_format(&a, text);
	json_array_foreach (json_object_get(doc, "backends"), i, b) {
		if (!strcmp(show_get_text(b, "name"), backend) || !strcmp(show_get_text(b, "address"), text))
			return b;
	}
	return NULL;
}

/* Look at the backend; *out is a new reference. */
static int look(struct lbctl *ctx, const char *const *word, json_t **out)
{
	json_t *doc, *b;
	int r = client_call(ctx, "backends", json_pack("{s:s}", "service", word[0]), &doc);

	if (r)
		return r;
	b = pick(doc, word[1]);
	*out = json_incref(b);
	json_decref(doc);
	return b ? LBCTL_OK
		 : lbctl_fail(LBCTL_INVALID, NULL, "service \"%s\" has no backend \"%s\" any more", word[0],
			      word[1]);
}

static int64_t checks_of(const json_t *b)
{
	return show_get_int(json_object_get(b, "probe"), "checks");
}

static void print_result(const json_t *asked, const json_t *b)
{
	const json_t *probe = json_object_get(b, "probe"), *last = json_object_get(probe, "last");

	if (*show_get_text(asked, "asks")) {
		show_text(show_get_text(asked, "asks"), stdout);
		if (json_is_integer(json_object_get(asked, "mark")))
			fputs(", through the tunnel to this backend", stdout);
		printf(", within %lld ms\n", (long long)show_get_int(asked, "timeout_ms"));
	}
	printf("%s/%s (%s): %s probe %s in %.1f ms", show_get_text(b, "service"), show_get_text(b, "name"),
	       show_get_text(b, "address"), show_get_text(probe, "type"), show_get_text(last, "outcome"),
	       (double)show_get_int(last, "latency_us") / 1e3);
	if (*show_get_text(last, "detail")) {
		fputs(": ", stdout);
		show_text(show_get_text(last, "detail"), stdout);
	}
	if (json_is_object(json_object_get(probe, "latency"))) {
		const json_t *latency = json_object_get(probe, "latency");

		printf("\nlast %lld good probes: median %.1f ms, 99%% within %.1f ms",
		       (long long)show_get_int(latency, "probes"), (double)show_get_int(latency, "p50_us") / 1e3,
		       (double)show_get_int(latency, "p99_us") / 1e3);
	}
	printf("\nprobe state %s (%lld of %lld probes failed), backend %s", show_get_text(probe, "state"),
	       (long long)show_get_int(probe, "failures"), (long long)checks_of(b), show_get_text(b, "state"));
	if (*show_get_text(b, "reason")) {
		fputs(": ", stdout);
		show_text(show_get_text(b, "reason"), stdout);
	}
	fputc('\n', stdout);
}

static int wait_for_result(struct lbctl *ctx, const char *const *word)
{
	const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000l};
	json_t *before = NULL, *now = NULL, *answer = NULL;
	int r = look(ctx, word, &before);

	if (!r)
		r = client_call(ctx, "probe", json_pack("{s:s, s:s}", "service", word[0], "backend", word[1]),
				&answer);
	for (int waited = 0; !r; waited += LOOK_EVERY_MS) {
		r = look(ctx, word, &now);
		if (r || checks_of(now) > checks_of(before))
			break;
		json_decref(now);
		now = NULL;
		if (waited >= WAIT_AT_MOST_MS)
			r = lbctl_fail(LBCTL_FAILED, "lbctl backends shows when the next one is due",
				       "no result within %d seconds", WAIT_AT_MOST_MS / 1000);
		(void)nanosleep(&pause, NULL);
	}
	if (!r) {
		const json_t *last = json_object_get(json_object_get(now, "probe"), "last");

		if (ctx->json)
			show_json(now);
		else
			print_result(answer, now);
		r = strcmp(show_get_text(last, "outcome"), "ok") ? LBCTL_FAILED : LBCTL_OK;
	}
	json_decref(answer);
	json_decref(before);
	json_decref(now);
	return r;
}

int verb_probe(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"SERVICE BACKEND",
		"Probe a backend now, as configured, and show what is asked and what came of it. It counts like any "
		"other.\v"
		"Exit code 5 when the probe fails. With --json the backend's entry of the \"backends\" "
		"document.\n\n"
		"Examples:\n"
		"  lbctl probe web 10.0.1.11",
		NULL,
		NULL,
		NULL};
	struct lbctl_words words = {.min = 2, .max = 2};

	lbctl_parse(&argp, &words, argc, argv, ctx);
	return wait_for_result(ctx, words.word);
}
