// SPDX-License-Identifier: Apache-2.0
/* Events on the control socket: numbering, the ring, followers that are quiet, slow, or gone. */
#include "control_client.h"

#include <time.h>

static void test_events(void **state)
{
	int follower = client(*state), fd = client(*state);
	json_t *j, *list;

	say(follower, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	j = hear_json(follower);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 0);
	json_decref(j);
	for (int i = 1; i <= 3; i++) {
		say(fd, "{\"v\":1,\"verb\":\"change\",\"args\":{\"service\":\"web\"}}");
		json_decref(hear_json(fd));
		j = hear_json(follower);
		assert_int_equal(json_integer_value(json_object_get(j, "seq")), i);
		assert_string_equal(json_string_value(json_object_get(j, "service")), "web");
		assert_non_null(json_object_get(j, "time"));
		assert_non_null(json_object_get(j, "time_ns"));
		json_decref(j);
	}
	/* What a follower says is not listened to. */
	say(follower, "{\"v\":1,\"verb\":\"echo\"}");
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"since\":1}}");
	j = hear_json(fd);
	list = json_object_get(json_object_get(j, "data"), "events");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "data"), "next")), 4);
	json_decref(j);
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"last\":1}}");
	j = hear_json(fd);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 1);
	json_decref(j);
	/* A number from before a restart of the daemon: everything is new. */
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"since\":5000}}");
	j = hear_json(fd);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 3);
	json_decref(j);
	close(fd);
	close(follower);
}

/* A follower has no deadline while it is quiet, also when it said that it will say no more. */
static void test_quiet_follower(void **state)
{
	const struct timespec longer_than_idle = {.tv_nsec = 600000000};
	int follower = client(*state), fd;

	say(follower, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(follower));
	shutdown(follower, SHUT_WR);
	nanosleep(&longer_than_idle, NULL);
	fd = client(*state);
	say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":1}}");
	json_decref(hear_json(fd));
	json_decref(hear_json(follower));
	close(fd);
	close(follower);
}

static void test_ring(void **state)
{
	int fd = client(*state);
	json_t *j, *list;

	say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":2500}}");
	json_decref(hear_json(fd));
	say(fd, "{\"v\":1,\"verb\":\"events\"}");
	j = hear_json(fd);
	list = json_object_get(json_object_get(j, "data"), "events");
	assert_int_equal(json_array_size(list), 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(list, i), "seq")),
				 1501 + i);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "data"), "oldest")), 1501);
	json_decref(j);
	close(fd);
}

/* Events come faster than a follower reads: it is dropped; one that reads gets them all. */
static void test_slow_follower(void **state)
{
	int slow = client(*state), good = client(*state), fd = client(*state);
	unsigned int seen = 0;

	say(slow, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(slow));
	say(good, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(good));
	for (int i = 0; i < 20; i++) {
		say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":500}}");
		json_decref(hear_json(fd));
		for (int k = 0; k < 500; k++, seen++)
			free(hear(good));
	}
	assert_int_equal(seen, 10000);
	for (unsigned int n = 0;; n++) {
		char *line = hear(slow);

		if (!line)
			break;
		assert_true(n < 10000);
		free(line);
	}
	close(slow);
	close(good);
	close(fd);
	assert_alive(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_events),
		QUICK(test_quiet_follower),
		CASE(test_ring),
		CASE(test_slow_follower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
