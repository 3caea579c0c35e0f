// SPDX-License-Identifier: Apache-2.0
/*
 * test_probe_path.c - probes through the real encapsulation to a real backend in another network namespace,
 * for every kind of encapsulation, both families of VIP, tcp, http and udp, by tcx and by clsact; and that
 * they fail when the server is alive but decapsulation or the VIP is not there. Needs root, ip and ethtool;
 * else skipped.
 *
 *   this process: lb0 10.0.0.1, fd00::1, default route to the backend ---- be0 10.0.0.2, fd00::2:
 * decap.bpf.c, the prober, probe.bpf.c at the egress of lb0                           VIP 10.99.0.1, fd99::1
 * on lo, servers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lb/backend.h"
#include "lb/decap.h"
#include "decap.skel.h"
#include "probe_fixture.h"
#include "probe_path.h"

#define VIP4 "10.99.0.1"
#define VIP6 "fd99::1"
#define PORT 8080
#define N_BACKENDS 64u
#define TUNNELS 5u /* bidx 1..5 */
#define ASTRAY 6u  /* bidx of a line whose MAC is nobody's */
#define REPLY_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

static const enum lb_encap tunnels[TUNNELS + 1] = {
	[1] = LB_ENCAP_IP4, LB_ENCAP_IP6, LB_ENCAP_GUE4, LB_ENCAP_GUE6, LB_ENCAP_L2};
static const char *const tunnel_names[TUNNELS + 1] = {[1] = "ip4", "ip6", "gue4", "gue6", "l2"};
static char pins[] = "/tmp/lbd-probe-path-XXXXXX";
static pid_t backend_pid;
static struct lb_backend *backends;

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

/* ---- the backend: a child in a namespace of its own ------------------------------------------- */

static int serve_at(const char *vip, int type)
{
	struct sockaddr_storage ss = {0};
	socklen_t len;
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;
	int fd;

	if (inet_pton(AF_INET, vip, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(PORT);
		len = sizeof(*sin);
	} else {
		inet_pton(AF_INET6, vip, &sin6->sin6_addr);
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(PORT);
		len = sizeof(*sin6);
	}
	fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&ss, len) || (type == SOCK_STREAM && listen(fd, 64)))
		_exit(1);
	return fd;
}

static void serve(struct pollfd *fds)
{
	char buf[2048];

	while (poll(fds, 4, -1) > 0)
		for (int i = 0; i < 4; i++) {
			struct sockaddr_storage from;
			socklen_t len = sizeof(from);
			struct timeval tv = {.tv_sec = 2}; /* a machine under load may bring the request late */
			ssize_t n;
			int conn;

			if (!(fds[i].revents & POLLIN))
				continue;
			if (i >= 2) {
				n = recvfrom(fds[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
				(void)!sendto(fds[i].fd, buf, n > 0 ? (size_t)n : 0, 0,
					      (struct sockaddr *)&from, len);
				continue;
			}
			conn = accept(fds[i].fd, NULL, NULL);
			setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
			if (recv(conn, buf, sizeof(buf), 0) > 0) /* a tcp probe resets at once */
				(void)!send(conn, REPLY_TEXT, sizeof(REPLY_TEXT) - 1, MSG_NOSIGNAL);
			close(conn);
		}
}

static void unpack_for(struct decap_bpf *skel, const char *vip)
{
	struct decap_addr key;
	__u32 one = 1;
	struct lb_addr a;

	addr_parse(vip, &a);
	memcpy(&key, a.b, sizeof(key));
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.vips), &key, &one, 0))
		_exit(1);
}

static void backend(int ready, int go)
{
	struct decap_bpf *skel;
	struct pollfd fds[4];
	char c = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) || write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(1);
	if (shell("ip link set lo up && ip addr add 10.0.0.2/24 dev be0 && ip addr add fd00::2/64 dev be0 "
		  "nodad && "
		  "ip addr add " VIP4 "/32 dev lo && ip addr add " VIP6
		  "/128 dev lo nodad && ip link set be0 up && "
		  "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.be0.rp_filter=0 "
		  "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"))
		_exit(1);
	skel = decap_bpf__open();
	if (!skel || decap_bpf__load(skel))
		_exit(1);
	unpack_for(skel, VIP4);
	unpack_for(skel, VIP6);
	if (bpf_xdp_attach((int)if_nametoindex("be0"), bpf_program__fd(skel->progs.decap_xdp),
			   XDP_FLAGS_DRV_MODE, NULL))
		_exit(1);
	fds[0].fd = serve_at(VIP4, SOCK_STREAM);
	fds[1].fd = serve_at(VIP6, SOCK_STREAM);
	fds[2].fd = serve_at(VIP4, SOCK_DGRAM);
	fds[3].fd = serve_at(VIP6, SOCK_DGRAM);
	for (int i = 0; i < 4; i++)
		fds[i].events = POLLIN;
	if (write(ready, &c, 1) != 1)
		_exit(1);
	serve(fds);
	_exit(0);
}

/* ---- this side --------------------------------------------------------------------------------- */

/* By ip: /sys shows the interfaces of the namespace it was mounted in. @pid 0: ours. */
static void get_mac(pid_t pid, const char *ifname, __u8 mac[6])
{
	char command[96], line[64] = "", enter[32] = "";
	FILE *f;

	if (pid)
		snprintf(enter, sizeof(enter), "nsenter -t %d -n ", (int)pid);
	snprintf(command, sizeof(command), "%sip -br link show %s | awk '{print $3}'", enter, ifname);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	pclose(f);
	assert_int_equal(sscanf(line, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3,
				mac + 4, mac + 5),
			 6);
}

static void address(__u8 out[16], const char *text)
{
	struct lb_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(out, a.b, 16);
}

static void put_line(unsigned int bidx, enum lb_encap encap)
{
	bool v6 = encap == LB_ENCAP_IP6 || encap == LB_ENCAP_GUE6;
	struct lb_backend_spec s = {.encap = encap, .link_mtu = 1500, .gue_port = DECAP_GUE_PORT, .sid = 1};
	address(s.src, v6 ? "fd00::1" : "10.0.0.1");
	address(s.dst, v6 ? "fd00::2" : "10.0.0.2");
	get_mac(0, "lb0", s.src_mac);
	get_mac(backend_pid, "be0", s.dst_mac);
	s.dst_mac[5] ^= bidx == ASTRAY;
	lb_backend_build(&backends[bidx], &s);
}

static int make_map(const char *name, enum bpf_map_type type, unsigned int value, unsigned int n, __u32 flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = flags);
	int fd = bpf_map_create(type, name, 4, value, n, &o);
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	if (fd < 0 || bpf_obj_pin(fd, path))
		return -1;
	return fd;
}

static void make_maps(void)
{
	int fd = make_map("backends", BPF_MAP_TYPE_ARRAY, sizeof(struct lb_backend), N_BACKENDS,
			  BPF_F_MMAPABLE);

	assert_true(fd >= 0);
	backends = mmap(NULL, N_BACKENDS * sizeof(*backends), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(backends != MAP_FAILED);
	assert_true(make_map("backend_spares", BPF_MAP_TYPE_ARRAY, sizeof(struct lb_backend), N_BACKENDS,
			     BPF_F_MMAPABLE) >= 0);
	assert_true(make_map("tx_ports", BPF_MAP_TYPE_DEVMAP, 4, LB_TX_PORTS_MAX, 0) >= 0);
	for (unsigned int i = 1; i <= TUNNELS; i++)
		put_line(i, tunnels[i]);
	put_line(ASTRAY, LB_ENCAP_IP4);
}

static int setup(void **state)
{
	int ready[2], go[2];
	char c = 0;

	if (geteuid() ||
	    shell("command -v ip >/dev/null && command -v ethtool >/dev/null && command -v nsenter "
		  ">/dev/null") ||
	    unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		exit(77);
	assert_non_null(mkdtemp(pins));
	if (mount("bpf", pins, "bpf", 0, NULL))
		exit(77);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	backend_pid = fork();
	if (!backend_pid)
		backend(ready[1], go[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(shell("ip link set lo up && ip link add lb0 type veth peer name be0 netns %d && "
			       "ip addr add 10.0.0.1/24 dev lb0 && ip addr add fd00::1/64 dev lb0 nodad && "
			       "ip link set lb0 up && "
			       "ethtool -K lb0 tx off >/dev/null && ip route add default via 10.0.0.2 && "
			       "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lb0.rp_filter=0",
			       (int)backend_pid),
			 0);
	assert_int_equal(write(go[1], &c, 1), 1);
	if (read(ready[0], &c, 1) != 1)
		fail_msg("the backend did not come up");
	assert_int_equal(shell("ip -6 route add default via fd00::2"), 0);
	make_maps();
	return 0;
}

static int teardown(void **state)
{
	kill(backend_pid, SIGKILL);
	waitpid(backend_pid, NULL, 0);
	umount(pins);
	rmdir(pins);
	return 0;
}

/* One probe of @type to the VIP of @family by line @bidx. */
static struct probe_result probe_once(unsigned int bidx, int family, enum probe_type type, __u16 port)
{
	struct probe_target t = target_of(1, family, port, type);
	struct probe_result r;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(addr_parse(family == AF_INET ? VIP4 : VIP6, &t.addr), 0);
	t.mark = probe_path_mark((__u16)bidx);
	memcpy(t.spec.send, "ping", t.spec.send_len = 4);
	memcpy(t.spec.expect_data, "ping", t.spec.expect_len = 4);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	r = f.last[1].last;
	fixture_close(&f);
	return r;
}

static void expect_all(enum probe_outcome outcome, unsigned int from, unsigned int to, __u16 port,
		       const char *when)
{
	static const enum probe_type types[] = {PROBE_TCP, PROBE_HTTP, PROBE_UDP};

	for (unsigned int bidx = from; bidx <= to; bidx++)
		for (int family = 0; family < 2; family++)
			for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
				struct probe_result r =
					probe_once(bidx, family ? AF_INET6 : AF_INET, types[k], port);

				if (r.outcome != outcome)
					fail_msg("%s: %s to %s by %s: %s: \"%s\"", when,
						 probe_type_name(types[k]), family ? VIP6 : VIP4,
						 bidx <= TUNNELS ? tunnel_names[bidx] : "astray",
						 probe_outcome_name(r.outcome), r.detail);
			}
}

static struct probe_path *open_path(bool no_tcx)
{
	struct probe_path *p = NULL;
	struct err err = {0};

	if (probe_path_open(&p, pins, no_tcx, &err) || probe_path_attach(p, "lb0", &err) ||
	    probe_path_attach(p, "lb0", &err))
		fail_msg("%s", err.msg);
	return p;
}

static void test_every_way(void **state)
{
	for (int no_tcx = 0; no_tcx < 2; no_tcx++) {
		struct probe_path *p = open_path(no_tcx);
		struct probe_path_stats st;

		expect_all(PROBE_OUTCOME_OK, 1, TUNNELS, PORT, no_tcx ? "clsact" : "tcx");
		expect_all(PROBE_OUTCOME_REFUSED, 1, TUNNELS, PORT + 1, no_tcx ? "clsact" : "tcx");
		assert_int_equal(probe_path_read_stats(p, &st), 0);
		assert_true(st.n[LB_PROBE_SENT] >= 2 * 2 * TUNNELS * 3);
		assert_int_equal(st.n[LB_PROBE_FAILED], 0);
		probe_path_close(p);
		assert_int_equal(shell("tc filter show dev lb0 egress | grep -q lb_probe"), 256);
	}
}

static void test_line_leads_astray(void **state)
{
	struct probe_path *p = open_path(false);

	expect_all(PROBE_OUTCOME_TIMEOUT, ASTRAY, ASTRAY, PORT, "wrong next hop");
	expect_all(PROBE_OUTCOME_TIMEOUT, ASTRAY + 1, ASTRAY + 1, PORT, "no line");
	probe_path_close(p);
}

static void test_no_interface(void **state)
{
	struct probe_path *p = open_path(false);
	struct err err = {0};

	assert_int_equal(probe_path_attach(p, "nosuch0", &err), -ENODEV);
	assert_non_null(strstr(err.msg, "nosuch0"));
	probe_path_detach(p, "nosuch0");
	probe_path_detach(p, "lb0");
	probe_path_close(p);
	memset(&err, 0, sizeof(err));
	assert_int_equal(probe_path_open(&p, "/nonexistent", false, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/backends"));
}

/* A killed daemon's filter: the next start replaces it, or `lbd --detach` takes it away. */
static void test_left_over_filter(void **state)
{
	struct probe_path *p;
	struct err err = {0};
	pid_t pid = fork();

	if (!pid) {
		open_path(true);
		_exit(0); /* without closing */
	}
	waitpid(pid, NULL, 0);
	assert_int_equal(shell("tc filter show dev lb0 egress | grep -q lb_probe"), 0);
	p = open_path(true);
	assert_int_equal(shell("test $(tc filter show dev lb0 egress | grep -c lb_probe) = 1"), 0);
	probe_path_close(p);
	pid = fork();
	if (!pid) {
		open_path(true);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	assert_int_equal(probe_path_remove("lb0", &err), 0);
	assert_int_equal(shell("tc filter show dev lb0 egress | grep -q lb_probe"), 256);
	assert_int_equal(probe_path_remove("lb0", &err), 0);
	assert_int_equal(probe_path_remove("nosuch0", &err), 0);
}

/* The maps grew: a second object takes over, and the end of the first takes nothing away. */
static void test_second_object(void **state)
{
	for (int no_tcx = 0; no_tcx < 2; no_tcx++) {
		struct probe_path *first = open_path(no_tcx), *second = open_path(no_tcx);

		probe_path_close(first);
		expect_all(PROBE_OUTCOME_OK, 1, TUNNELS, PORT, "by the second object");
		probe_path_close(second);
	}
	assert_int_equal(shell("tc filter show dev lb0 egress | grep -q lb_probe"), 256);
}

/* The server runs and answers at the backend's address, but clients could not reach it. Last: it breaks the
 * backend. */
static void test_backend_half_alive(void **state)
{
	struct probe_path *p = open_path(false);

	assert_int_equal(shell("nsenter -t %d -n ip link set dev be0 xdp off", (int)backend_pid), 0);
	expect_all(PROBE_OUTCOME_TIMEOUT, 1, 1, PORT, "no decapsulation");
	expect_all(PROBE_OUTCOME_OK, 5, 5, PORT, "L2 needs none");
	assert_int_equal(shell("nsenter -t %d -n sh -c 'ip addr del " VIP4 "/32 dev lo; ip addr del " VIP6
			       "/128 dev lo'",
			       (int)backend_pid),
			 0);
	for (int family = 0; family < 2; family++) {
		enum probe_outcome o = probe_once(5, family ? AF_INET6 : AF_INET, PROBE_TCP, PORT).outcome;

		assert_true(o == PROBE_OUTCOME_TIMEOUT || o == PROBE_OUTCOME_UNREACHABLE);
	}
	probe_path_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way),          cmocka_unit_test(test_line_leads_astray),
		cmocka_unit_test(test_no_interface),       cmocka_unit_test(test_left_over_filter),
		cmocka_unit_test(test_second_object),
		cmocka_unit_test(test_backend_half_alive),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
