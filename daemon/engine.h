/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the daemon's centre: holds configuration and state, hears events, keeps the data plane as desired.
 *
 * One direction only: config + health + next hops -> desired state -> plan -> maps. It lives on one sd-event loop, in
 * one thread, and nothing in it blocks (but for dataplane_quiesce(), some milliseconds on a change of services).
 */
#pragma once
#include "core/config.h"
#include "core/err.h"
#include "core/explain.h"
#include "core/flowlist.h"
#include "core/snapshot.h"
#include <jansson.h>
#include <systemd/sd-event.h>

struct engine;

struct engine_options {
	const char *config_path;
	/* Takes an event (borrowed) to the followers of the control socket. */
	void (*on_event)(json_t *event, void *userdata);
	/* Called once, when the data plane is attached and filled. */
	void (*on_ready)(void *userdata);
	void *userdata;
};

/*
 * Take over @config (ownership passes in every case) and open the data plane: adopt what is pinned, or load afresh.
 * Packets are steered from the moment next hops are known (at most a second later): then on_ready is called.
 */
int engine_new(struct engine **out, sd_event *event, struct config *config, const struct engine_options *o,
	       struct err *err);
void engine_free(struct engine *e); /* the data plane stays in place */

/* Read the configuration file again and apply the difference. On errors nothing changes; @diags tells (initialised by the caller). */
int engine_reload(struct engine *e, struct diags *diags, json_t **summary, struct err *err);
/* What a reload of @path would do, as a list of plan lines. */
int engine_diff(struct engine *e, const char *path, struct diags *diags, json_t **summary, struct err *err);

/* Operator's will. @backend: name or address. 0, -ENOENT with candidates in @err. */
int engine_set_admin(struct engine *e, const char *service, const char *backend, enum lb_admin admin, struct err *err);
/* @weight -1: back to the configured one. */
int engine_set_weight(struct engine *e, const char *service, const char *backend, __s32 weight, struct err *err);
/* Probe now, out of turn. *@data: what is asked, the document "probe"; the result shows in the next snapshots. */
int engine_probe_now(struct engine *e, const char *service, const char *backend, json_t **data, struct err *err);

/* A picture of everything; the caller frees it with snapshot_done(). */
int engine_snapshot(struct engine *e, struct snapshot *out, struct err *err);
/*
 * List the flow table from @out->from on (a multiple of 4096, as an earlier call gave in `next`): all, or one service's.
 * @out comes from flowlist_init().
 */
int engine_list_flows(struct engine *e, const char *service, struct flowlist *out, struct err *err);
/*
 * Where @q (checked by explain_check()) would go now, and why. The first call loads a second instance of the program,
 * which takes some 50 ms; later ones take about a millisecond.
 */
int engine_explain(struct engine *e, const struct explain_query *q, struct explain *out, struct err *err);
/* Is all as it must be, on this host and its network? *@data: the document of core/doctor.h. */
int engine_doctor(struct engine *e, json_t **data, struct err *err);
const struct config *engine_config(const struct engine *e);
bool engine_is_ready(const struct engine *e); /* steering packets */
