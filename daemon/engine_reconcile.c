// SPDX-License-Identifier: Apache-2.0
/*
 * engine_reconcile.c - compares what is really in the kernel with what should be, now and then, and mends it.
 *
 * Somebody may detach the program or edit a map by hand; nothing tells the daemon. Every repair is an event: the cause is
 * outside lbd and somebody should look for it.
 */
#include "engine_int.h"

#include <string.h>

static void report(struct engine *e, const struct state_service *s, const char *what, unsigned int n)
{
	char words[120];

	snprintf(words, sizeof(words), "%u %s not what lbd had written; put right", n, what);
	engine_event(e, LOG_LEVEL_WARNING, "repaired", s, NULL, NULL, NULL, words);
}

void engine_repair_attachment(struct engine *e, const char *ifname)
{
	const char *mode = NULL;
	struct err err = { 0 };

	if (dataplane_check(e->dp, ifname, &mode, &err) == 0 && strcmp(mode, "none"))
		return;
	err = (struct err){ 0 };
	if (dataplane_attach(e->dp, ifname, &err) == 0) {
		engine_event(e, LOG_LEVEL_WARNING, "interface_attached", NULL, NULL, "detached", "attached", ifname);
		return;
	}
	/* Said once, not every time: the interface may be away for days. */
	if (strcmp(e->attach_error, err.msg))
		log_err(&err);
	snprintf(e->attach_error, sizeof(e->attach_error), "%s", err.msg);
}

static unsigned int wrong_slots(const struct engine *e, const struct state_service *s, const struct service_rt *rt)
{
	const struct lb_slot_line *lines = e->maps->slots + s->line;
	unsigned int n = 0;

	for (__u32 i = 0; i < s->m; i++)
		n += LB_SLOT_BIDX(lines[i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE]) != rt->owner[i];
	return n;
}

static void repair_slots(struct engine *e)
{
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		unsigned int n = e->rt[i].dirty ? 0 : wrong_slots(e, &e->state->services[i], &e->rt[i]);

		if (!n)
			continue;
		report(e, &e->state->services[i], "slots were", n);
		engine_mark(e, i);
	}
}

static void repair_settings(struct engine *e)
{
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];

		if (e->maps->services[s->sid].val == state_service_val(s))
			continue;
		report(e, s, "settings were", 1);
		engine_write_service(e, s, e->rt[i].digest);
	}
}

void engine_reconcile(struct engine *e)
{
	unsigned int keys;

	for (unsigned int i = 0; i < e->config->dataplane.n_interfaces; i++)
		engine_repair_attachment(e, e->config->dataplane.interfaces[i]);
	repair_settings(e);
	keys = engine_repair_keys(e);
	if (keys)
		report(e, NULL, "keys of the service table were", keys);
	repair_slots(e);
	for (unsigned int i = 0; i < e->state->n_services; i++)
		for (unsigned int k = 0; k < e->state->services[i].n_backends; k++)
			engine_write_line(e, i, k);
}
