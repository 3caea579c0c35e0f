// SPDX-License-Identifier: Apache-2.0
/* test_state.c - ids and lines of the desired state: stable, never shared, refused when used up. */
#include "core/cleanup.h"
#include "core/plan.h"
#include "core/state.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct state_capacity roomy = { .slot_lines = 100000, .backends = 1000, .services = 100 };

/* "web 1 2 3" = service web with backends 10.0.0.1..3; weight 100. Services must be given sorted by name. */
static struct config *config_of(const char *const *services)
{
	struct config *c = calloc(1, sizeof(*c));

	c->services = calloc(16, sizeof(*c->services));
	for (; *services; services++) {
		struct config_service *s = &c->services[c->n_services++];
		char text[200], *save = NULL, *word;

		snprintf(text, sizeof(text), "%s", *services);
		word = strtok_r(text, " ", &save);
		snprintf(s->name, sizeof(s->name), "%s", word);
		addr_parse("192.0.2.1", &s->vips[s->n_vips++]);
		s->port = (__u16)(1000 + s->name[0]);
		s->protocol = IPPROTO_TCP;
		s->grace_s = 900;
		s->backends = calloc(16, sizeof(*s->backends));
		while ((word = strtok_r(NULL, " ", &save))) {
			struct config_backend *b = &s->backends[s->n_backends++];

			snprintf(b->name, sizeof(b->name), "10.0.0.%s", word);
			addr_parse(b->name, &b->addr);
			b->weight = 100;
		}
	}
	return c;
}

static void config_drop(struct config *c)
{
	for (unsigned int i = 0; i < c->n_services; i++)
		free(c->services[i].backends);
	free(c->services);
	free(c);
}

static struct state *build(const char *const *services, const struct state *old)
{
	struct config *c = config_of(services);
	struct state *s = NULL;
	struct err err = { 0 };

	assert_int_equal(state_build(c, old, &roomy, &s, &err), 0);
	config_drop(c);
	return s;
}

static void check_unique(const struct state *s)
{
	__u8 sid[LB_SID_MAX + 1] = { 0 }, bidx[LB_BIDX_MAX + 1] = { 0 };

	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct state_service *a = &s->services[i];

		assert_true(a->sid > 0 && !sid[a->sid]);
		sid[a->sid] = 1;
		for (unsigned int k = 0; k < a->n_backends; k++) {
			assert_true(a->backends[k].bidx > 0 && !bidx[a->backends[k].bidx]);
			bidx[a->backends[k].bidx] = 1;
		}
		for (unsigned int k = 0; k < i; k++) {
			const struct state_service *b = &s->services[k];

			assert_true(a->line >= b->line + state_lines_for(b->m) ||
				    b->line >= a->line + state_lines_for(a->m));
		}
	}
}

static void ids_survive_a_change(void **state)
{
	struct state *a = build((const char *const[]){ "api 1 2", "web 1 2 3", NULL }, NULL);
	struct state *b = build((const char *const[]){ "dns 7", "web 0 2 3 4", NULL }, a);
	const struct state_service *wa = state_find_service(a, "web"), *wb = state_find_service(b, "web");
	struct lb_addr two, one;

	check_unique(a);
	check_unique(b);
	addr_parse("10.0.0.2", &two);
	addr_parse("10.0.0.1", &one);
	assert_int_equal(wa->sid, wb->sid);
	assert_int_equal(wa->line, wb->line);
	assert_int_equal(wa->m, wb->m);
	assert_int_equal(state_find_backend(wa, &two)->bidx, state_find_backend(wb, &two)->bidx);
	/* What left stays as retired, under its id, with no weight. */
	assert_true(state_find_backend(wb, &one)->retired);
	assert_int_equal(state_find_backend(wb, &one)->weight, 0);
	assert_int_equal(state_find_backend(wb, &one)->bidx, state_find_backend(wa, &one)->bidx);
	state_free(a);
	state_free(b);
}

static void nothing_new_gets_an_id_in_use(void **state)
{
	struct state *a = build((const char *const[]){ "api 1 2", "web 1 2 3", NULL }, NULL);
	struct state *b = build((const char *const[]){ "new 1 2 3 4", NULL }, a);

	/* api and web are gone in b, but packets may still use their ids and lines until b is in force. */
	for (unsigned int i = 0; i < a->n_services; i++) {
		assert_int_not_equal(a->services[i].sid, b->services[0].sid);
		assert_true(b->services[0].line >= a->services[i].line + state_lines_for(a->services[i].m) ||
			    a->services[i].line >= b->services[0].line + state_lines_for(b->services[0].m));
		for (unsigned int k = 0; k < a->services[i].n_backends; k++)
			for (unsigned int n = 0; n < b->services[0].n_backends; n++)
				assert_int_not_equal(a->services[i].backends[k].bidx, b->services[0].backends[n].bidx);
	}
	state_free(a);
	state_free(b);
}

static void used_up_spaces_are_refused(void **state)
{
	static const struct {
		const char *name, *what;
		struct state_capacity cap;
	} cases[] = {
		{ "backends", "another backend", { 100000, 3, 100 } },
		{ "services", "another service", { 100000, 1000, 2 } },
		{ "slots", "another table", { 200, 1000, 100 } },
	};
	struct config *c = config_of((const char *const[]){ "api 1 2", "web 1 2 3", NULL });

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct state *s = NULL;
		struct err err = { 0 };

		print_message("case %s\n", cases[i].name);
		assert_int_equal(state_build(c, NULL, &cases[i].cap, &s, &err), -ENOSPC);
		assert_null(s);
		assert_non_null(strstr(err.msg, cases[i].what));
		assert_true(err.hint[0]);
	}
	config_drop(c);
}

/* ---- plan: the order is what makes a half-done change right to forward with ----------------------------------------- */

static unsigned int rank(enum plan_op_kind k)
{
	switch (k) {
	case PLAN_BACKEND_ADD:
	case PLAN_BACKEND_CHANGE:
	case PLAN_BACKEND_RETIRE:
		return 0;
	case PLAN_SERVICE_ADD:
	case PLAN_SERVICE_CHANGE:
	case PLAN_TABLE_REPLACE:
	case PLAN_TABLE_UPDATE:
		return 1;
	case PLAN_KEY_ADD:
	case PLAN_KEY_CHANGE:
		return 2;
	case PLAN_KEY_REMOVE:
		return 3;
	case PLAN_QUIESCE:
		return 4;
	default:
		return 5;
	}
}

static unsigned int check_plan(const struct state *from, const struct state *to, const char *const *expected)
{
	struct plan plan;
	char line[200];
	unsigned int n;

	assert_int_equal(plan_build(from, to, &plan), 0);
	for (unsigned int i = 1; i < plan.n; i++)
		assert_true(rank(plan.ops[i - 1].kind) <= rank(plan.ops[i].kind));
	for (unsigned int i = 0; expected && (i < plan.n || expected[i]); i++) {
		assert_true(i < plan.n);
		assert_non_null(expected[i]);
		assert_string_equal(plan_op_format(&plan.ops[i], line, sizeof(line)), expected[i]);
	}
	n = plan.n;
	plan_done(&plan);
	return n;
}

static void a_plan_says_what_changes(void **state)
{
	struct state *a = build((const char *const[]){ "api 1", "web 1 2", NULL }, NULL);
	struct state *b = build((const char *const[]){ "dns 7", "web 2 3", NULL }, a);
	static const char *const first[] = {
		"backend-add api 10.0.0.1 [1] weight 100",
		"backend-add web 10.0.0.1 [2] weight 100",
		"backend-add web 10.0.0.2 [3] weight 100",
		"service-add api [1] 4093 slots at line 0",
		"service-add web [2] 4093 slots at line 128",
		"key-add api 192.0.2.1:1097/tcp",
		"key-add web 192.0.2.1:1119/tcp",
		NULL,
	};
	static const char *const second[] = {
		"backend-add dns 10.0.0.7 [4] weight 100",
		"backend-retire web 10.0.0.1 [2]",
		"backend-add web 10.0.0.3 [5] weight 100",
		"service-add dns [3] 4093 slots at line 256",
		"table-update web [2]",
		"key-add dns 192.0.2.1:1100/tcp",
		"key-remove api 192.0.2.1:1097/tcp",
		"quiesce",
		"service-remove api [1]",
		NULL,
	};

	check_plan(NULL, a, first);
	check_plan(a, b, second);
	assert_int_equal(check_plan(b, b, NULL), 0);
	state_free(a);
	state_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_survive_a_change),
		cmocka_unit_test(nothing_new_gets_an_id_in_use),
		cmocka_unit_test(used_up_spaces_are_refused),
		cmocka_unit_test(a_plan_says_what_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
