// SPDX-License-Identifier: Apache-2.0
/* handlers_inspect.c - the verbs that look closer: flows, explain, doctor. */
#include "handlers_internal.h"

#include "core/cleanup.h"
#include "core/request.h"

#include <errno.h>

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
