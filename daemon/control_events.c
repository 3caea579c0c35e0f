// SPDX-License-Identifier: Apache-2.0
/*
 * control_events.c - the ring of the last events. Lines, not trees: they are sent far more often than listed,
 * and a thousand trees of jansson would take more than a megabyte.
 */
#include "control_internal.h"
#include "core/document.h"

#include <stdlib.h>
#include <time.h>

void control_events_init(struct control_events *e)
{
	*e = (struct control_events){.next = 1};
}

void control_events_done(struct control_events *e)
{
	for (unsigned int i = 0; i < CONTROL_EVENTS; i++)
		free(e->line[i]);
	control_events_init(e);
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

const char *control_events_add(struct control_events *e, const json_t *event, size_t *len)
{
	json_t *numbered = json_object();
	json_int_t ns = json_integer_value(json_object_get(event, "time_ns"));
	unsigned int at = (unsigned int)(e->next % CONTROL_EVENTS);
	char *line = NULL;
	int failed;

	failed = json_object_set_new(numbered, "seq", document_u64(e->next)) ||
		 document_set_time(numbered, "time", ns > 0 ? (uint64_t)ns : realtime_ns()) ||
		 json_object_update_missing(numbered, (json_t *)event);
	if (!failed)
		line = response_line(numbered, len);
	json_decref(numbered);
	if (!line)
		return NULL;
	free(e->line[at]);
	e->line[at] = line;
	e->len[at] = *len;
	e->next++;
	return line;
}

json_t *control_events_document(const struct control_events *e, uint64_t since, uint64_t last)
{
	uint64_t first = e->next > CONTROL_EVENTS ? e->next - CONTROL_EVENTS : 1, from = first;
	json_t *doc = document_new("events", 1, realtime_ns()), *list = json_array();
	int failed;

	/* A number we never gave out is from before a restart: whoever asks missed everything that we have.
	 */
	if (since < e->next && since + 1 > from)
		from = since + 1;
	if (e->next - from > last)
		from = e->next - last;
	failed = json_object_set_new(doc, "oldest", document_u64(first)) ||
		 json_object_set_new(doc, "next", document_u64(e->next));
	for (uint64_t seq = from; seq < e->next && !failed; seq++) {
		unsigned int at = (unsigned int)(seq % CONTROL_EVENTS);

		failed = json_array_append_new(list, json_loadb(e->line[at], e->len[at], 0, NULL));
	}
	failed |= json_object_set_new(doc, "events", list);
	if (failed) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}
