/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books balance: over a random mix of everything, mutilated too, each packet moves exactly one counter, and the
 * counter's kind is the verdict's.
 *
 * LBD_SEED repeats a run, LBD_PACKETS makes it longer.
 */
#include "mix.h"

static struct fixture fix;

enum { PACKETS = 20000 };

static __u64 sum_of(const struct fixture_ledger *l, const char *prefix)
{
	static const char *const names[] = {
#define X(id, name) [LB_OUTCOME_##id] = name,
		LB_OUTCOMES(X)
#undef X
	};
	__u64 n = 0;
	__u32 i;

	for (i = 0; i < LB_OUTCOME_MAX; i++)
		if (!strncmp(names[i], prefix, strlen(prefix)))
			n += l->outcomes[i];
	return n;
}

static void test_every_packet_is_counted_once(void **state)
{
	static struct fixture_ledger l;
	static struct pkt in, out;
	const char *text = getenv("LBD_PACKETS");
	__u64 n = text ? strtoull(text, NULL, 0) : PACKETS, i, sent = 0, verdicts[5] = { 0 };
	__u32 b, o, met = 0;

	for (i = 0; i < n; i++) {
		int verdict;

		mix_frame(&in);
		verdict = fixture_run(&fix, &in, &out);
		assert_in_range(verdict, XDP_DROP, XDP_REDIRECT);
		verdicts[verdict]++;
		if (verdict == XDP_PASS)
			cold_same("passed", &out, &in);
	}
	fixture_ledger(&fix, &l);
	for (b = 0; b < FIX_BACKENDS; b++)
		sent += l.backends[b].packets;
	assert_int_equal(verdicts[XDP_PASS], sum_of(&l, "pass_"));
	assert_int_equal(verdicts[XDP_DROP], sum_of(&l, "drop_"));
	assert_int_equal(verdicts[XDP_TX] + verdicts[XDP_REDIRECT], sent + sum_of(&l, "tx_"));
	assert_int_equal(l.outcomes[LB_OUTCOME_DROP_INTERNAL], 0);
	for (o = 0; o < LB_OUTCOME_MAX; o++)
		met += l.outcomes[o] != 0;
	print_message("%llu packets, %llu to backends, %u outcomes met\n", (unsigned long long)n,
		      (unsigned long long)sent, met);
	assert_true(met >= 14);
}

static int setup(void **state)
{
	mix_start();
	fixture_up(&fix, &(struct fixture_options){ .features = LB_FEATURE_VIP_ECHO });
	mix_world(&fix);
	return 0;
}

static int teardown(void **state)
{
	fixture_down(&fix);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_packet_is_counted_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
