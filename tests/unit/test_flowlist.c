// SPDX-License-Identifier: Apache-2.0
/* What a word of the flow table says; a page keeps to its limit and counts on. */
#include "core/flowlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define TICK 100000u /* of 131072: later ages wrap */
#define IDLE 226u    /* ticks: 900 s */

static const struct {
	const char *name;
	__u32 age; /* ticks */
	__u8 gen_now;
	enum lb_flow_life life;
	bool valid;
	__u32 dies_s;
} words[] = {
	{"just seen", 0, 7, LB_FLOW_OPEN, true, (IDLE + 16 + 1) * 4},
	{"silent", 100, 7, LB_FLOW_OPEN, true, (IDLE + 16 + 1 - 100) * 4},
	{"last moment of open", IDLE, 7, LB_FLOW_OPEN, true, 17 * 4},
	{"a FIN was seen", IDLE + 1, 7, LB_FLOW_CLOSING, true, 16 * 4},
	{"last moment of all", IDLE + 16, 7, LB_FLOW_CLOSING, true, 4},
	{"dead", IDLE + 17, 7, LB_FLOW_DEAD, false, 0},
	{"its backend was given up", 0, 8, LB_FLOW_OPEN, false, (IDLE + 16 + 1) * 4},
	{"written by a CPU whose clock is ahead", -3u, 7, LB_FLOW_OPEN, true, (IDLE + 16 + 1) * 4},
};

static void test_decode(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct flowlist_entry e;

		flowlist_decode(LB_FLOW(0xabcdef, 32767, 7, TICK - words[i].age), TICK, IDLE, words[i].gen_now, &e);
		if (e.life != words[i].life || e.valid != words[i].valid || e.dies_s != words[i].dies_s)
			fail_msg("%s: life %d, valid %d, dies in %u s", words[i].name, e.life, e.valid, e.dies_s);
		assert_int_equal(e.tag, 0xabcdef);
		assert_int_equal(e.bidx, 32767);
		assert_int_equal(e.generation, 7);
	}
}

static void test_limit(void **state)
{
	struct flowlist_entry e = {.service = "web", .backend = "web1", .valid = true, .tag = 5, .age_s = 8};
	struct err err = {0};
	struct flowlist l;
	json_t *doc, *f;

	assert_int_equal(flowlist_init(&l, 2, 4096), 0);
	for (int i = 0; i < 5; i++) {
		e.valid = i != 3;
		flowlist_add(&l, &e);
	}
	assert_int_equal(addr_parse("10.0.1.11", &l.entries[0].addr), 0);
	l.entries[1].service[0] = '\0';
	l.entries[1].life = LB_FLOW_CLOSING;
	l.next = 8192;
	assert_int_equal(flowlist_report(&l, 1, &doc, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(doc, "flows_total")), 5);
	assert_int_equal(json_integer_value(json_object_get(doc, "flows_valid")), 4);
	assert_int_equal(json_integer_value(json_object_get(doc, "next")), 8192);
	assert_int_equal(json_array_size(json_object_get(doc, "flows")), 2);
	f = json_array_get(json_object_get(doc, "flows"), 0);
	assert_string_equal(json_string_value(json_object_get(f, "address")), "10.0.1.11");
	assert_string_equal(json_string_value(json_object_get(f, "tag")), "0x000005");
	assert_string_equal(json_string_value(json_object_get(f, "state")), "open");
	assert_int_equal(json_integer_value(json_object_get(f, "idle_s")), 8);
	/* Nobody's backend any more, and a time that a FIN made up. */
	f = json_array_get(json_object_get(doc, "flows"), 1);
	assert_true(json_is_null(json_object_get(f, "address")));
	assert_true(json_is_null(json_object_get(f, "idle_s")));
	json_decref(doc);
	flowlist_done(&l);

	/* Nothing may be listed, all is counted; at the end there is no next. */
	assert_int_equal(flowlist_init(&l, 0, 0), 0);
	flowlist_add(&l, &e);
	assert_int_equal(flowlist_report(&l, 1, &doc, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(doc, "flows_total")), 1);
	assert_int_equal(json_array_size(json_object_get(doc, "flows")), 0);
	assert_true(json_is_null(json_object_get(doc, "next")));
	json_decref(doc);
	flowlist_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
