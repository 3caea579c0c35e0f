// SPDX-License-Identifier: Apache-2.0
/*
 * engine.c - life of the engine: start, timers, reload, the operator's commands.
 *
 * Start: open the data plane and read back what is pinned; resolve next hops (at most START_WAIT_NS); then apply the
 * configuration, attach, and say "ready". Until then an adopted data plane goes on as it was.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define START_WAIT_NS (1 * NSEC_PER_SEC)
#define AGE_INTERVAL_NS (1 * NSEC_PER_SEC) /* transitions are counted in seconds */
#define RECONCILE_BEATS 5 /* every so many seconds what is in the kernel is compared with what should be */
#define TICK_MIN_NS (20 * NSEC_PER_MSEC)
#define ACCURACY_US 1000 /* 0 would mean 250 ms */

static __u64 clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (__u64)ts.tv_sec * NSEC_PER_SEC + (__u64)ts.tv_nsec;
}

__u64 engine_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

__u64 engine_now_real(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void engine_event(struct engine *e, enum log_level level, const char *kind, const struct state_service *s,
		  const struct state_backend *b, const char *from, const char *to, const char *why)
{
	const char *service = s ? s->name : "", *backend = b ? b->name : "";
	json_t *event = json_pack("{s:I, s:s, s:s*, s:s*, s:s*, s:s*, s:s*}", "time_ns", (json_int_t)engine_now_real(),
				  "event", kind, "service", s ? s->name : NULL, "backend", b ? b->name : NULL, "from",
				  from, "to", to, "reason", why && *why ? why : NULL);

	log_event(level, kind, why ? why : "", "service", service, "backend", backend, "from", from ? from : "", "to",
		  to ? to : "", NULL);
	if (event && e->opt.on_event)
		e->opt.on_event(event, e->opt.userdata);
	json_decref(event);
}

/* ---- timers --------------------------------------------------------------------------------------------------------- */

static int on_flush(sd_event_source *source, void *userdata)
{
	struct engine *e = userdata;
	int r = engine_flush(e);

	engine_settle_lines(e);
	if (r < 0)
		log_error("slots could not be written: %s", strerror(-r));
	/* A ramp may just have begun: look at the clock again. */
	(void)sd_event_source_set_time(e->tick, (engine_now() + TICK_MIN_NS) / 1000);
	(void)sd_event_source_set_enabled(e->tick, SD_EVENT_ONESHOT);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct engine *e = userdata;
	__u64 next = 0, now = engine_now();

	engine_tick_admissions(e, &next);
	if (!next)
		return 0;
	if (next < now + TICK_MIN_NS)
		next = now + TICK_MIN_NS;
	(void)sd_event_source_set_time(source, next / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct engine *e = userdata;

	e->maps->meta->heartbeat_ns = clock_ns(CLOCK_BOOTTIME);
	if (e->ready) {
		engine_age(e);
		engine_sweep_flows(e);
		engine_drop_retired(e);
		if (++e->beats % RECONCILE_BEATS == 0)
			engine_reconcile(e);
		(void)engine_flush(e);
		dataplane_trim_lines(e->dp);
	}
	(void)sd_event_source_set_time(source, (engine_now() + AGE_INTERVAL_NS) / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- start ----------------------------------------------------------------------------------------------------------- */

static int attach_all(struct engine *e, struct err *err)
{
	for (unsigned int i = 0; i < e->config->dataplane.n_interfaces; i++) {
		int r = dataplane_attach(e->dp, e->config->dataplane.interfaces[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int start(struct engine *e, struct err *err)
{
	int r = engine_apply(e, e->config, take_ptr(e->pending), err);

	if (r < 0)
		return r;
	e->ready = true;
	r = engine_flush(e);
	if (r < 0)
		return err_set(err, r, "slots could not be written: %s", strerror(-r));
	r = attach_all(e, err);
	if (r == 0)
		(void)engine_open_path(e); /* without it backends are probed at their own addresses */
	if (r == 0)
		r = engine_sync_probes(e, err);
	return r;
}

/* Next hops are known, or have had their time: from here on packets are steered. */
static int on_start(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct engine *e = userdata;
	struct err err = { 0 };
	int r = start(e, &err);

	if (r < 0) {
		log_err(&err);
		return sd_event_exit(e->event, r);
	}
	(void)sd_event_source_set_time(e->tick, engine_now() / 1000);
	(void)sd_event_source_set_enabled(e->tick, SD_EVENT_ONESHOT);
	if (e->opt.on_ready)
		e->opt.on_ready(e->opt.userdata);
	return 0;
}

static int add_timer(struct engine *e, sd_event_source **out, __u64 at_ns, sd_event_time_handler_t fn, bool enabled)
{
	int r = sd_event_add_time(e->event, out, CLOCK_MONOTONIC, at_ns / 1000, ACCURACY_US, fn, e);

	return r < 0 || enabled ? r : sd_event_source_set_enabled(*out, SD_EVENT_OFF);
}

static int add_timers(struct engine *e, struct err *err)
{
	__u64 now = engine_now();
	int r = sd_event_add_defer(e->event, &e->flush, on_flush, e);

	if (r >= 0)
		r = sd_event_source_set_enabled(e->flush, SD_EVENT_OFF);
	/* After the events of one round, so that a burst of them becomes one change. */
	if (r >= 0)
		r = sd_event_source_set_priority(e->flush, SD_EVENT_PRIORITY_NORMAL + 10);
	if (r >= 0)
		r = add_timer(e, &e->tick, now, on_tick, false);
	if (r >= 0)
		r = add_timer(e, &e->heartbeat, now, on_heartbeat, true);
	if (r >= 0)
		r = add_timer(e, &e->start, now + START_WAIT_NS, on_start, true);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int set_up(struct engine *e, struct err *err)
{
	int r = engine_open_dataplane(e, e->config, err);

	if (r == 0)
		r = nexthops_new(&e->nexthops, e->event, engine_on_nexthop, engine_on_link, e, err);
	if (r == 0)
		r = prober_new(&e->prober, e->event, engine_on_probe, e, err);
	if (r == 0)
		r = add_timers(e, err);
	if (r == 0)
		r = engine_sync_nexthops(e, e->pending, err);
	return r;
}

int engine_new(struct engine **out, sd_event *event, struct config *config, const struct engine_options *o,
	       struct err *err)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e) {
		config_free(config);
		return err_set(err, -ENOMEM, "out of memory");
	}
	e->config = config;
	e->event = sd_event_ref(event);
	e->opt = *o;
	e->started_ns = e->loaded_ns = engine_now_real();
	e->config_path = strdup(o->config_path);
	e->gen = calloc(LB_BIDX_MAX + 1, sizeof(*e->gen));
	e->lost = calloc(LB_BIDX_MAX + 1, sizeof(*e->lost));
	e->flows = calloc(2 * (LB_SID_MAX + 1), sizeof(*e->flows));
	e->flows_counting = e->flows ? e->flows + LB_SID_MAX + 1 : NULL;
	e->moved = calloc(LB_BIDX_MAX + 1, sizeof(*e->moved));
	if (e->config_path && e->gen && e->lost && e->flows && e->moved)
		r = set_up(e, err);
	else
		r = err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		engine_free(e);
	else
		*out = e;
	return r;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	for (unsigned int i = 0; e->rt && i < e->state->n_services; i++)
		service_rt_done(&e->rt[i]);
	free(e->rt);
	prober_free(e->prober);
	probe_path_close(e->path);
	nexthops_free(e->nexthops);
	sd_event_source_disable_unref(e->flush);
	sd_event_source_disable_unref(e->tick);
	sd_event_source_disable_unref(e->heartbeat);
	sd_event_source_disable_unref(e->start);
	state_free(e->pending);
	state_free(e->state);
	config_free(e->config);
	dataplane_close(e->dp);
	free(e->targets);
	free(e->users);
	free(e->gen);
	free(e->lost);
	free(e->flows);
	free(e->moved);
	free(e->config_path);
	sd_event_unref(e->event);
	free(e);
}

const struct config *engine_config(const struct engine *e)
{
	return e->config;
}

bool engine_is_ready(const struct engine *e)
{
	return e->ready;
}
