// SPDX-License-Identifier: Apache-2.0
/*
 * probe.c - targets and their schedule; see probe.h. The probes themselves are in probe_run.c and its kin.
 *
 * Every target has one timer. It fires, a run is taken from the pool, the run ends in on_done(), which feeds
 * the health machine, sets the timer again (counted from the start of the probe, so that its duration does
 * not add up) and reports. Specs are shared among neighbouring targets: a service has one, and it is two
 * kilobytes.
 */
#include "probe.h"

#include "core/cleanup.h"
#include "core/histogram.h"
#include "probe_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NS_PER_MS 1000000ull
#define FIRST_WINDOW_NS (100 * NS_PER_MS)
#define FIRST_GAP_NS 100000ull /* between two first probes, at least, when there are many */

struct spec_ref {
	unsigned int refs;
	struct probe_spec spec;
};

struct target {
	struct prober *prober;
	__u32 id;
	__u32 mark;
	__u16 port;
	bool spread; /* came in a bunch: its first normal interval is random, to break the bunch up */
	struct lb_addr addr;
	struct spec_ref *spec;
	struct health health;
	__u32 latency_us[LATENCY_MAX]; /* a ring of the successful ones */
	__u32 n_latencies; /* so far; the next goes to [n % LATENCY_MAX] */
	struct probe_timer timer;
	struct pooled_run *run; /* under way */
};

struct pooled_run {
	struct probe_run run; /* first */
	struct target *target;
	struct pooled_run *next;
};

struct prober {
	struct probe_loop loop;
	struct probe_curl *curl; /* from the first http target on */
	probe_result_fn fn;
	void *userdata;
	struct target **targets; /* sorted by id */
	unsigned int n;
	struct pooled_run *pool;
	unsigned int n_runs, in_flight;
	__u64 rng, probes, locals;
	struct histogram late_us;
	char last_local[sizeof(((struct probe_result *)0)->detail)];
};

static __u32 random32(struct prober *p)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return (__u32)(p->rng >> 16);
}

/* @max scaled by 32 random bits. */
static __u64 random_below(struct prober *p, __u64 max)
{
	return (max >> 16) * (random32(p) >> 8) >> 8;
}

/* ---- the cycle of a target ------------------------------------------------------------------ */

static struct pooled_run *run_take(struct prober *p)
{
	struct pooled_run *r = p->pool;

	if (r) {
		p->pool = r->next;
		return r;
	}
	if (probe_loop_reserve(&p->loop, PROBE_RUN_TIMERS))
		return NULL;
	r = malloc(sizeof(*r));
	if (!r) {
		probe_loop_reserve(&p->loop, -PROBE_RUN_TIMERS);
		return NULL;
	}
	probe_run_init(&r->run, &p->loop);
	p->n_runs++;
	return r;
}

static void run_put(struct prober *p, struct pooled_run *r)
{
	r->target->run = NULL;
	r->target = NULL;
	r->next = p->pool;
	p->pool = r;
	p->in_flight--;
}

static __u64 next_start_ns(struct target *t, __u64 started_ns, __u64 now_ns)
{
	struct prober *p = t->prober;
	__u64 interval = health_next_ms(&t->health, &t->spec->spec, random32(p)) * NS_PER_MS;
	__u64 at;

	if (t->spread && t->health.state != HEALTH_UNKNOWN && !t->health.streak) {
		t->spread = false;
		interval = interval / 2 + random_below(p, interval);
	}
	at = started_ns + interval;
	/* Longer under way than an interval: go on at once, but let others go first. */
	return at > now_ns ? at : now_ns + NS_PER_MS;
}

static void report(struct target *t, const struct probe_result *result, __u64 started_ns)
{
	struct prober *p = t->prober;
	__u64 now = probe_loop_now_ns();
	enum health_event ev = health_step(&t->health, &t->spec->spec, result, now);

	p->probes++;
	if (result->outcome == PROBE_OUTCOME_OK)
		t->latency_us[t->n_latencies++ % LATENCY_MAX] = result->latency_us;
	if (result->outcome == PROBE_OUTCOME_LOCAL) {
		p->locals++;
		memcpy(p->last_local, result->detail, sizeof(p->last_local));
	}
	probe_loop_set_timer(&p->loop, &t->timer, next_start_ns(t, started_ns, now));
	/* Last: the callback may remove the target. */
	if (result->outcome != PROBE_OUTCOME_LOCAL)
		p->fn(t->id, &t->health, ev, p->userdata);
}

static void on_done(struct probe_run *run, const struct probe_result *result)
{
	struct pooled_run *r = (struct pooled_run *)run;
	struct target *t = r->target;
	struct probe_result copy = *result;

	run_put(t->prober, r);
	report(t, &copy, run->start_ns);
}

/* Nobody probes it: it is up, whatever it was. */
static void report_none(struct target *t, __u64 now_ns)
{
	enum health_event ev = t->health.state == HEALTH_UP ? HEALTH_NOCHANGE : HEALTH_WENT_UP;

	health_init(&t->health, HEALTH_UP, now_ns);
	snprintf(t->health.last.detail, sizeof(t->health.last.detail), "not probed (probe: none)");
	t->prober->fn(t->id, &t->health, ev, t->prober->userdata);
}

static void start(struct target *t, __u64 now_ns)
{
	struct probe_result failed = {.outcome = PROBE_OUTCOME_LOCAL, .detail = "out of memory"};
	struct prober *p = t->prober;
	struct pooled_run *r;

	if (t->spec->spec.type == PROBE_NONE) {
		report_none(t, now_ns);
		return;
	}
	r = run_take(p);
	if (!r) {
		report(t, &failed, now_ns);
		return;
	}
	r->target = t;
	t->run = r;
	p->in_flight++;
	r->run.curl = p->curl;
	r->run.addr = t->addr;
	r->run.port = t->port;
	r->run.mark = t->mark;
	r->run.spec = &t->spec->spec;
	r->run.done = on_done;
	probe_run_start(&r->run, now_ns);
}

static void on_timer(struct probe_timer *timer, __u64 fired_ns)
{
	struct target *t = probe_container(timer, struct target, timer);
	__u64 now = probe_loop_now_ns();
	__u64 late_us = now > timer->t.at_ns ? (now - timer->t.at_ns) / 1000 : 0;

	histogram_add(&t->prober->late_us, late_us < ~0u ? (__u32)late_us : ~0u);
	start(t, now);
}

/* ---- the set of targets --------------------------------------------------------------------- */

static void spec_unref(struct spec_ref *s)
{
	if (s && !--s->refs)
		free(s);
}

/* A spec equal to @want: @a or @b when they are, else a new one. */
static struct spec_ref *spec_get(struct spec_ref *a, struct spec_ref *b, const struct probe_spec *want)
{
	struct spec_ref *s = a && probe_spec_equal(&a->spec, want)   ? a
			     : b && probe_spec_equal(&b->spec, want) ? b
								     : NULL;

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->spec = *want;
	}
	s->refs++;
	return s;
}

static void stop(struct target *t)
{
	probe_loop_stop_timer(&t->prober->loop, &t->timer);
	if (t->run) {
		probe_run_cancel(&t->run->run);
		run_put(t->prober, t->run);
	}
}

static void target_free(struct target *t)
{
	if (!t)
		return;
	stop(t);
	probe_loop_reserve(&t->prober->loop, -1);
	spec_unref(t->spec);
	free(t);
}

static bool is_same(const struct target *t, const struct probe_target *want)
{
	return !addr_cmp(&t->addr, &want->addr) && t->port == want->port && t->mark == want->mark &&
	       probe_spec_equal(&t->spec->spec, &want->spec);
}

static struct target *find(const struct prober *p, __u32 id)
{
	unsigned int lo = 0, hi = p->n;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (p->targets[mid]->id == id)
			return p->targets[mid];
		if (p->targets[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* What becomes of one wanted target: prepared first, so that a failure leaves everything as it was. */
struct change {
	struct target *old;    /* with the same id; NULL = new */
	struct target *fresh;  /* made for a new id */
	struct spec_ref *spec; /* referenced for a target that changed; NULL = same or new */
};

static int prepare(struct prober *p, const struct probe_target *want, struct spec_ref **last,
		   struct change *c)
{
	struct spec_ref *s;

	c->old = find(p, want->id);
	if (c->old && is_same(c->old, want)) {
		*last = c->old->spec;
		return 0;
	}
	s = spec_get(*last, c->old ? c->old->spec : NULL, &want->spec);
	if (!s)
		return -ENOMEM;
	*last = s;
	if (c->old) {
		c->spec = s;
		return 0;
	}
	c->fresh = calloc(1, sizeof(*c->fresh));
	if (!c->fresh || probe_loop_reserve(&p->loop, 1)) {
		free(c->fresh);
		c->fresh = NULL;
		spec_unref(s);
		return -ENOMEM;
	}
	c->fresh->prober = p;
	c->fresh->id = want->id;
	c->fresh->spec = s;
	c->fresh->timer.fn = on_timer;
	health_init(&c->fresh->health, want->initial, probe_loop_now_ns());
	return 0;
}

static void apply(struct change *c, const struct probe_target *want)
{
	struct target *t = c->fresh ? c->fresh : c->old;

	if (c->spec) {
		stop(t);
		spec_unref(t->spec);
		t->spec = c->spec;
		t->health.streak = 0;
		t->n_latencies = 0;
	}
	t->addr = want->addr;
	t->port = want->port;
	t->mark = want->mark;
}

/* First probes: those that nothing is known of at once, as evenly as may be; the others anywhere in their
 * interval. */
static void schedule(struct prober *p, const struct change *c, unsigned int n)
{
	__u64 now = probe_loop_now_ns(), gap, at = now;
	unsigned int urgent = 0;

	for (unsigned int i = 0; i < n; i++)
		urgent += c[i].spec || (c[i].fresh && c[i].fresh->health.state == HEALTH_UNKNOWN);
	gap = urgent * FIRST_GAP_NS > FIRST_WINDOW_NS ? FIRST_GAP_NS : FIRST_WINDOW_NS / (urgent + 1);
	for (unsigned int i = 0; i < n; i++) {
		struct target *t = c[i].fresh ? c[i].fresh : c[i].old;

		if (c[i].spec || (c[i].fresh && t->health.state == HEALTH_UNKNOWN)) {
			t->spread = true;
			at += gap;
			probe_loop_set_timer(&p->loop, &t->timer, at);
		} else if (c[i].fresh) {
			probe_loop_set_timer(
				&p->loop, &t->timer,
				now + random_below(p, health_next_ms(&t->health, &t->spec->spec, 0) *
							      NS_PER_MS));
		}
	}
}

static int prepare_all(struct prober *p, const struct probe_target *targets, unsigned int n, struct change *c)
{
	struct spec_ref *last = NULL;
	int r = 0;

	for (unsigned int i = 0; i < n && !r; i++) {
		if (targets[i].spec.type == PROBE_HTTP || targets[i].spec.type == PROBE_HTTPS)
			r = p->curl ? 0 : -EAGAIN;
		r = r ? r : prepare(p, &targets[i], &last, &c[i]);
	}
	if (!r)
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		target_free(c[i].fresh);
		spec_unref(c[i].spec);
	}
	return r;
}

static bool wants_curl(const struct probe_target *t, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (t[i].spec.type == PROBE_HTTP || t[i].spec.type == PROBE_HTTPS)
			return true;
	return false;
}

int prober_sync(struct prober *p, const struct probe_target *targets, unsigned int n, struct err *err)
{
	_cleanup_free_ struct change *c = calloc(n + 1, sizeof(*c));
	_cleanup_free_ struct target **list = calloc(n + 1, sizeof(*list));
	struct target **old;
	unsigned int kept = 0;

	for (unsigned int i = 1; i < n; i++)
		if (targets[i - 1].id >= targets[i].id)
			return err_set(err, -EINVAL,
				       "prober: targets are not sorted by id, or id %u is there twice",
				       targets[i].id);
	if (!p->curl && wants_curl(targets, n))
		p->curl = probe_curl_new(&p->loop, err);
	if (!p->curl && wants_curl(targets, n))
		return -ENOMEM;
	if (!c || !list || prepare_all(p, targets, n, c))
		return err_set(err, -ENOMEM, "prober: out of memory for %u targets", n);
	for (unsigned int i = 0; i < n; i++) {
		apply(&c[i], &targets[i]);
		list[i] = c[i].fresh ? c[i].fresh : c[i].old;
	}
	/* Both lists are sorted: what is in the old and not in the new one goes. */
	for (unsigned int i = 0; i < p->n; i++) {
		while (kept < n && list[kept]->id < p->targets[i]->id)
			kept++;
		if (kept == n || list[kept] != p->targets[i])
			target_free(p->targets[i]);
	}
	schedule(p, c, n);
	old = p->targets;
	p->targets = take_ptr(list);
	p->n = n;
	free(old);
	return 0;
}

const struct health *prober_health(const struct prober *p, __u32 id, __u32 *next_ms)
{
	const struct target *t = find(p, id);
	__u64 now = probe_loop_now_ns();

	if (!t)
		return NULL;
	if (next_ms)
		*next_ms = t->timer.t.place && t->timer.t.at_ns > now
				   ? (__u32)((t->timer.t.at_ns - now) / NS_PER_MS)
				   : 0;
	return &t->health;
}

struct latency prober_latency(const struct prober *p, __u32 id)
{
	const struct target *t = find(p, id);

	return t ? latency_of(t->latency_us, t->n_latencies) : (struct latency){0};
}

int prober_kick(struct prober *p, __u32 id)
{
	struct target *t = find(p, id);

	if (!t)
		return -ENOENT;
	if (!t->run)
		probe_loop_set_timer(&p->loop, &t->timer, probe_loop_now_ns());
	return 0;
}

void prober_get_stats(const struct prober *p, struct prober_stats *out)
{
	*out = (struct prober_stats){
		.targets = p->n,
		.in_flight = p->in_flight,
		.sockets = p->loop.n_sockets,
		.max_sockets = p->loop.max_sockets,
		.probes = p->probes,
		.locals = p->locals,
		.late_p50_us = histogram_at(&p->late_us, 500),
		.late_p99_us = histogram_at(&p->late_us, 990),
		.late_max_us = p->late_us.max,
	};
	memcpy(out->last_local, p->last_local, sizeof(out->last_local));
}

int prober_new(struct prober **out, sd_event *event, probe_result_fn fn, void *userdata, struct err *err)
{
	struct prober *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "prober: out of memory");
	r = probe_loop_init(&p->loop, event, err);
	if (r) {
		free(p);
		return r;
	}
	p->fn = fn;
	p->userdata = userdata;
	if (getrandom(&p->rng, sizeof(p->rng), GRND_NONBLOCK) != sizeof(p->rng) || !p->rng)
		p->rng = probe_loop_now_ns() | 1; /* early at boot: phases need no secret */
	*out = p;
	return 0;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < p->n; i++)
		target_free(p->targets[i]);
	free(p->targets);
	while (p->pool) {
		struct pooled_run *r = p->pool;

		p->pool = r->next;
		free(r);
	}
	probe_curl_free(p->curl);
	probe_loop_done(&p->loop);
	free(p);
}
