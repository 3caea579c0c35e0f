// SPDX-License-Identifier: Apache-2.0
/*
 * bench_probe.c - CPU per probe and lateness of the prober on loopback; one JSON object a line. Not a test:
 * run it by hand or from tools/bench. The server is another process; what the kernel does for the server's
 * side of a loopback packet in the prober's context counts as the prober's.
 *
 *     {"case":"probe-tcp","rate":10000,"per_probe_us":18.2,"cpu":0.18,"late_p50_us":520,"late_p99_us":1080,...}
 */
#include "core/cleanup.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

static const struct bench {
	const char *name;
	enum probe_type type;
	unsigned int targets, interval_ms;
	bool hanging; /* every tenth target is a server that never answers */
} benches[] = {
	{"probe-tcp", PROBE_TCP, 100, 2000, false},
	{"probe-tcp", PROBE_TCP, 2000, 2000, false},
	{"probe-tcp", PROBE_TCP, 20000, 2000, false},
	{"probe-tcp-some-hang", PROBE_TCP, 2000, 2000, true},
	{"probe-udp", PROBE_UDP, 20000, 2000, false},
	{"probe-http", PROBE_HTTP, 2000, 2000, false},
	{"probe-http-some-hang", PROBE_HTTP, 2000, 2000, true},
};

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int listener(int type, int backlog, __u16 *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sin, len) || getsockname(fd, (struct sockaddr *)&sin, &len) ||
	    (type == SOCK_STREAM && listen(fd, backlog))) {
		perror("bench_probe: listen");
		exit(1);
	}
	*port = ntohs(sin.sin_port);
	return fd;
}

static void serve(const struct bench *b, int fd)
{
	char buf[2048];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		int conn;

		if (b->type == PROBE_UDP) {
			ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

			if (n >= 0)
				(void)!sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
			continue;
		}
		conn = accept(fd, NULL, NULL);
		if (conn < 0)
			continue;
		if (b->type == PROBE_HTTP && recv(conn, buf, sizeof(buf), 0) > 0)
			(void)!send(conn, REPLY, sizeof(REPLY) - 1, MSG_NOSIGNAL);
		close(conn);
	}
}

static void on_result(__u32 id, const struct health *h, enum health_event ev, void *userdata)
{
	unsigned int *good = userdata;

	*good += h->last.outcome == PROBE_OUTCOME_OK;
}

static struct probe_target *make_targets(const struct bench *b, __u16 port, __u16 mute)
{
	struct probe_target *t = calloc(b->targets, sizeof(*t));

	for (unsigned int i = 0; t && i < b->targets; i++) {
		t[i] = (struct probe_target){.id = i, .port = b->hanging && i % 10 == 0 ? mute : port};
		(void)addr_parse("127.0.0.1", &t[i].addr);
		t[i].spec = (struct probe_spec){.type = b->type,
						.interval_ms = b->interval_ms,
						.fast_interval_ms = b->interval_ms / 4,
						.down_interval_ms = b->interval_ms,
						.timeout_ms = 1000,
						.rise = 3,
						.fall = 3,
						.jitter_pct = 10,
						.send = "ping",
						.send_len = 4};
	}
	return t;
}

static void measure(const struct bench *b, struct prober *p, sd_event *event, double seconds,
		    unsigned int *good)
{
	double cpu = cpu_seconds(), start = now_seconds(), end = start + seconds;
	struct prober_stats before, after;

	prober_get_stats(p, &before);
	*good = 0;
	while (now_seconds() < end)
		sd_event_run(event, 100000);
	cpu = cpu_seconds() - cpu;
	seconds = now_seconds() - start;
	prober_get_stats(p, &after);
	printf("{\"case\":\"%s\",\"targets\":%u,\"rate\":%.0f,\"per_probe_us\":%.1f,\"cpu\":%.3f,\"late_p50_"
	       "us\":%u,"
	       "\"late_p99_us\":%u,\"late_max_us\":%u,\"good_pct\":%.1f,\"local\":%llu}\n",
	       b->name, b->targets, (double)(after.probes - before.probes) / seconds,
	       cpu * 1e6 / (double)(after.probes - before.probes), cpu / seconds, after.late_p50_us,
	       after.late_p99_us, after.late_max_us, 100.0 * *good / (double)(after.probes - before.probes),
	       (unsigned long long)(after.locals - before.locals));
	fflush(stdout);
}

static int run(const struct bench *b, double seconds)
{
	struct prober *p = NULL;
	struct err err = {0};
	sd_event *event = NULL;
	unsigned int good = 0;
	__u16 port, mute_port;
	_cleanup_close_ int mute =
		listener(SOCK_STREAM, 4096, &mute_port); /* completes handshakes, no more */
	_cleanup_close_ int fd = listener(b->type == PROBE_UDP ? SOCK_DGRAM : SOCK_STREAM, 4096, &port);
	_cleanup_free_ struct probe_target *t = make_targets(b, port, mute_port);
	pid_t child = fork();
	int r;

	if (!child)
		serve(b, fd);
	if (!t || sd_event_new(&event) < 0)
		return -ENOMEM;
	if (b->hanging && b->type == PROBE_TCP)
		(void)listen(mute, 0); /* a full queue: SYNs are dropped */
	r = prober_new(&p, event, on_result, &good, &err);
	if (!r)
		r = prober_sync(p, t, b->targets, &err);
	if (r) {
		fprintf(stderr, "bench_probe: %s\n", err.msg);
	} else {
		double end = now_seconds() + 3; /* first probes, then the phases spread */

		while (now_seconds() < end)
			sd_event_run(event, 100000);
		measure(b, p, event, seconds, &good);
	}
	prober_free(p);
	sd_event_unref(event);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return r;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;

	if (argc > 2 || seconds <= 0) {
		fprintf(stderr, "usage: bench_probe [SECONDS]\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
		if (run(&benches[i], seconds))
			return 1;
	return 0;
}
