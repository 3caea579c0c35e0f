// SPDX-License-Identifier: Apache-2.0
/* flowlist.c - see flowlist.h. */
#include "core/flowlist.h"

#include "core/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int flowlist_init(struct flowlist *l, __u32 limit, __u32 from)
{
	*l = (struct flowlist){ .limit = limit, .from = from };
	l->entries = calloc(limit ? limit : 1, sizeof(*l->entries));
	return l->entries ? 0 : -ENOMEM;
}

void flowlist_done(struct flowlist *l)
{
	free(l->entries);
	*l = (struct flowlist){ 0 };
}

void flowlist_decode(__u64 w, __u32 tick, __u32 idle_ticks, __u8 gen, struct flowlist_entry *out)
{
	__u32 age = lb_flow_age(w, tick), life = idle_ticks + LB_FLOW_LINGER_TICKS;

	*out = (struct flowlist_entry){
		.bidx = (__u16)LB_FLOW_BIDX(w),
		.tag = LB_FLOW_TAG(w),
		.generation = (__u8)LB_FLOW_GEN(w),
		.life = lb_flow_life(w, tick, idle_ticks),
		.age_s = age * LB_FLOW_TICK_S,
		.dies_s = age <= life ? (life - age + 1) * LB_FLOW_TICK_S : 0,
	};
	out->valid = out->life != LB_FLOW_DEAD && out->generation == gen;
}

void flowlist_add(struct flowlist *l, const struct flowlist_entry *entry)
{
	l->total++;
	l->valid += entry->valid;
	if (l->n < l->limit)
		l->entries[l->n++] = *entry;
}

static const char *state_name(enum lb_flow_life life)
{
	return life == LB_FLOW_OPEN ? "open" : life == LB_FLOW_CLOSING ? "closing" : "dead";
}

static json_t *entry_json(const struct flowlist_entry *e)
{
	char tag[16];

	snprintf(tag, sizeof(tag), "0x%06x", e->tag);
	/* When a closing entry was last used is not known: a FIN stores a time in the past. */
	return json_pack("{s:o, s:o, s:o, s:i, s:s, s:s, s:o, s:I, s:i, s:b}", "service", document_text(e->service),
			 "backend", document_text(e->backend), "address",
			 e->service[0] ? document_addr(&e->addr) : json_null(), "backend_id", e->bidx, "tag", tag,
			 "state", state_name(e->life), "idle_s",
			 e->life == LB_FLOW_OPEN ? json_integer(e->age_s) : json_null(), "expires_s",
			 (json_int_t)e->dies_s, "generation", e->generation, "valid", e->valid);
}

int flowlist_report(const struct flowlist *l, __u64 now_ns, json_t **data, struct err *err)
{
	json_t *doc = document_new("flows", 2, now_ns), *list = json_array();
	bool ok = true;

	for (__u32 i = 0; i < l->n && ok; i++)
		ok = json_array_append_new(list, entry_json(&l->entries[i])) == 0;
	if (json_object_update_new(doc, json_pack("{s:o, s:o, s:I, s:o, s:o}", "flows_total", document_u64(l->total),
						  "flows_valid", document_u64(l->valid), "from", (json_int_t)l->from,
						  "next", l->next ? json_integer(l->next) : json_null(), "flows",
						  list)) ||
	    !ok) {
		json_decref(doc);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*data = doc;
	return 0;
}
