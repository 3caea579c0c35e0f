// SPDX-License-Identifier: Apache-2.0
/* What dataplane_open() finds, takes over, enlarges and refuses. */
#include "dataplane_env.h"

#include <bpf/btf.h>
#include <net/if.h>

static void test_new(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;
	struct lb_meta meta;

	assert_int_equal(dataplane_peek(PIN_DIR, &meta), -ENOENT);
	d = env_open(&o, false);
	const struct dataplane_maps *m = dataplane_maps(d);

	assert_int_equal(m->sizes.slot_lines, 64);
	assert_int_equal(m->meta->layout, LB_LAYOUT_VERSION);
	assert_int_equal(m->meta->n_backends, 128);
	assert_string_equal(m->meta->version, LBD_VERSION);
	assert_int_equal(dataplane_need_lines(d, 63, 1), 0);
	m->slot_x[64 * 32 - 1].a = 7; /* the last entries are writable */
	m->backends[127].gen = 7;
	assert_false(env_exists(PIN_DIR "/meta")); /* nothing in force yet */
	env_commit(d);
	env_commit(d);
	assert_true(env_exists(PIN_DIR "/meta"));
	assert_true(env_exists(PIN_DIR "/prog"));
	assert_false(env_exists(PIN_DIR "/next"));
	assert_false(env_exists(PIN_DIR "/new"));
	assert_int_equal(dataplane_peek(PIN_DIR, &meta), 0);
	assert_memory_equal(meta.seed, o.seed, sizeof(o.seed));
	assert_true(dataplane_map_bytes(d) > 64 * 32 * 16);
	dataplane_close(d);
	assert_true(env_exists(PIN_DIR "/meta"));
}

/* Fill every array with recognisable content. */
static void fill(struct dataplane *d)
{
	const struct dataplane_maps *m = dataplane_maps(d);

	assert_int_equal(dataplane_need_lines(d, 0, 64), 0);
	m->svc4[3].e[1].key = 11;
	m->svc6[2].e[0].vip_hi = 12;
	m->slots[63].s[31] = 13;
	m->slot_x[63 * 32 + 31].a = 14;
	m->slot_live[63].tick[30] = 15;
	m->backends[127].w0 = 16;
	m->backend_spares[127].w0 = 17;
	m->backend_info[127].weight = 18;
	strcpy(m->services[15].name, "nineteen");
	m->meta->heartbeat_ns = 20;
}

static void assert_filled(struct dataplane *d, bool with_buckets)
{
	const struct dataplane_maps *m = dataplane_maps(d);

	assert_int_equal(dataplane_need_lines(d, 0, 64), 0);
	assert_int_equal(m->svc4[3].e[1].key, with_buckets ? 11 : 0);
	assert_int_equal(m->svc6[2].e[0].vip_hi, with_buckets ? 12 : 0);
	assert_int_equal(m->slots[63].s[31], 13);
	assert_int_equal(m->slot_x[63 * 32 + 31].a, 14);
	assert_int_equal(m->slot_live[63].tick[30], 15);
	assert_int_equal(m->backends[127].w0, 16);
	assert_int_equal(m->backend_spares[127].w0, 17);
	assert_int_equal(m->backend_info[127].weight, 18);
	assert_string_equal(m->services[15].name, "nineteen");
	assert_int_equal(m->meta->heartbeat_ns, 20);
}

static void put_flow(struct dataplane *d, __u32 bucket, __u64 word)
{
	__u32 n;
	struct lb_flow_bucket *w = dataplane_flow_window(d, 0, &n);

	assert_non_null(w);
	assert_true(bucket < n);
	w[bucket].e[2] = word;
}

static __u64 get_flow(struct dataplane *d, __u32 bucket)
{
	__u32 n;
	struct lb_flow_bucket *w = dataplane_flow_window(d, 0, &n);

	assert_non_null(w);
	return w[bucket].e[2];
}

static void set_backend_stats(struct dataplane *d, __u32 bidx, __u64 packets)
{
	struct lb_counter c[64] = {0};

	c[0].packets = packets - 1;
	c[d->n_cpus - 1].packets += 1;
	assert_int_equal(bpf_map_update_elem(d->map[DP_BACKEND_STATS].fd, &bidx, c, BPF_ANY), 0);
}

static __u64 get_backend_stats(struct dataplane *d, __u32 bidx)
{
	struct lb_counter c[512];

	assert_int_equal(dataplane_read_backend_stats(d, c, bidx + 1), 0);
	return c[bidx].packets;
}

static void start_and_kill(void *arg)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_attach(d, "lb0");
	fill(d);
	put_flow(d, 5, 21);
	set_backend_stats(d, 127, 22);
	env_run_pinned(23);
	kill(getpid(), SIGKILL);
}

/* The promise of the whole module: kill -9, and nothing is lost. */
static void test_adopt_after_kill(void **state)
{
	struct dataplane_options o = env_options();
	struct bpf_link_info before = {0}, after = {0};
	__u32 len = sizeof(before);
	struct dataplane *d;
	int link;

	sh("ip link add lb0 type veth peer name lb0p");
	assert_int_equal(env_child(start_and_kill, NULL), 128 + SIGKILL);
	link = bpf_obj_get(PIN_DIR "/link-lb0");
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(link, &before, &len), 0);

	d = env_open(&o, true);
	assert_filled(d, true);
	assert_int_equal(get_flow(d, 5), 21);
	assert_int_equal(get_backend_stats(d, 127), 22);
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 23);
	assert_int_equal(bpf_obj_get_info_by_fd(link, &after, &len), 0);
	assert_int_equal(after.prog_id, before.prog_id); /* open alone replaces nothing */
	env_attach(d, "lb0");
	assert_int_equal(bpf_obj_get_info_by_fd(link, &after, &len), 0);
	assert_int_equal(after.id, before.id); /* the same link, in place */
	assert_int_not_equal(after.prog_id, before.prog_id);
	assert_int_equal(after.prog_id, d->prog_id);
	assert_string_equal(env_mode(d, "lb0"), "native");
	env_run_pinned(2);
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 25);
	close(link);
	dataplane_close(d);
}

static __u32 cold_program(void)
{
	int fd = bpf_obj_get(PIN_DIR "/cold");
	__u32 zero = 0, id = 0;

	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &id), 0);
	close(fd);
	return id;
}

/* The program that packets run goes on calling its own parts until it is replaced as a whole. */
static void test_tail_calls_change_with_commit(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);
	__u32 before;

	env_commit(d);
	dataplane_close(d);
	before = cold_program();
	assert_int_not_equal(before, 0);
	d = env_open(&o, true);
	assert_int_equal(cold_program(), before);
	env_commit(d);
	dataplane_close(d);
	assert_int_not_equal(cold_program(), before);
	assert_int_not_equal(cold_program(), 0);
}

static void test_smaller_wish_keeps_maps(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	fill(d);
	dataplane_close(d);
	o.sizes.backends = 2;
	o.sizes.slot_lines = 1;
	d = env_open(&o, true);
	assert_int_equal(dataplane_maps(d)->sizes.backends, 128);
	assert_filled(d, true);
	dataplane_close(d);
}

/* Larger maps carry everything over; the old ones stay in force, and untouched, until the commit. */
static void grow(struct dataplane_options *o, bool with_buckets)
{
	struct dataplane_options small = env_options();
	struct dataplane *old = env_open(&small, false), *d;

	env_commit(old);
	fill(old);
	put_flow(old, 5, 21);
	set_backend_stats(old, 127, 22);
	env_run_pinned(23);

	d = env_open(o, true);
	assert_null(dataplane_previous(d));
	assert_filled(d, with_buckets);
	assert_int_equal(get_backend_stats(d, 127), 22);
	dataplane_maps(d)->slots[0].s[0] = 99;
	assert_int_equal(dataplane_maps(old)->slots[0].s[0], 0);
	set_backend_stats(old, 126, 24); /* packets go on counting in the old maps */
	env_run_pinned(1);
	env_commit(d);
	env_run_pinned(1);
	assert_int_equal(get_backend_stats(d, 126), 24);
	assert_int_equal(get_backend_stats(d, 127), 22);
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 25);
	assert_int_equal(get_flow(d, 5), 21);
	put_flow(old, 6, 25); /* one flow table for both */
	assert_int_equal(get_flow(d, 6), 25);
	dataplane_close(old);
	dataplane_close(d);

	d = env_open(o, true);
	assert_filled(d, with_buckets);
	assert_int_equal(dataplane_maps(d)->slots[0].s[0], 99);
	assert_int_equal(dataplane_maps(d)->sizes.backends, o->sizes.backends);
	assert_int_equal(dataplane_maps(d)->sizes.flow_buckets, 256);
	dataplane_close(d);
}

static void test_grow_all(void **state)
{
	struct dataplane_options o = env_options();

	o.sizes = (struct dataplane_sizes){
		.slot_lines = 200, .svc_buckets = 128, .backends = 500, .services = 40, .flow_buckets = 1024};
	grow(&o, false);
}

static void test_grow_slots_only(void **state)
{
	struct dataplane_options o = env_options();

	o.sizes.slot_lines = 65;
	grow(&o, true);
}

static void test_other_svc_seed(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;

	o.svc_seed = 3;
	grow(&o, false);
	o.svc_seed = 0; /* keep */
	d = env_open(&o, true);
	assert_int_equal(dataplane_maps(d)->meta->svc_seed, 3);
	assert_int_equal(d->origin, DP_ORIGIN_ADOPT);
	dataplane_close(d);
}

/* slot_live is written by packets and by the daemon: of two times the later one counts, on a clock that wraps. */
static void test_grow_merges_slot_live(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *old = env_open(&o, false), *d;
	__u16 now = (__u16)(dataplane_clock_ds(old) / (LB_FLOW_TICK_S * 10));

	env_commit(old);
	assert_int_equal(dataplane_need_lines(old, 0, 1), 0);
	dataplane_maps(old)->slot_live[0].tick[0] = (__u16)(now - 100);
	o.sizes.slot_lines = 65;
	d = env_open(&o, true);
	assert_int_equal(dataplane_need_lines(d, 0, 1), 0);
	dataplane_maps(old)->slot_live[0].tick[1] = (__u16)(now - 1);
	dataplane_maps(d)->slot_live[0].tick[0] = now;
	dataplane_maps(d)->slot_live[0].tick[1] = (__u16)(now - 40000);
	env_commit(d);
	assert_int_equal(dataplane_maps(d)->slot_live[0].tick[0], now);
	assert_int_equal(dataplane_maps(d)->slot_live[0].tick[1], (__u16)(now - 1));
	dataplane_close(old);
	dataplane_close(d);
}

static void test_other_seed(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *old = env_open(&o, false), *d;

	env_commit(old);
	fill(old);
	put_flow(old, 5, 21);
	env_run_pinned(3);
	dataplane_close(old);
	o.seed[1] ^= 1;
	d = env_open(&o, false);
	assert_int_equal(dataplane_maps(d)->slots[63].s[31], 0);
	assert_int_equal(get_flow(d, 5), 0);
	assert_non_null(dataplane_previous(d));
	assert_int_equal(dataplane_previous(d)->backend_info[127].weight, 18);
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 3);
	env_commit(d);
	assert_null(dataplane_previous(d));
	dataplane_close(d);
	d = env_open(&o, true);
	dataplane_close(d);
}

static void assert_refused(const struct dataplane_options *o, int code, const char *word, const char *hint)
{
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted;

	assert_int_equal(dataplane_open(&d, o, &adopted, &err), code);
	assert_null(d);
	if (!strstr(err.msg, word) || !strstr(err.hint, hint))
		fail_msg("unexpected: %s (%s)", err.msg, err.hint);
}

static void test_stale_layout(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	dataplane_maps(d)->meta->layout = LB_LAYOUT_VERSION + 8;
	strcpy(dataplane_maps(d)->meta->version, "9.9");
	dataplane_close(d);
	assert_refused(&o, -EUCLEAN, "lbd 9.9", "lbd --detach");
	assert_true(env_exists(PIN_DIR "/slots"));
}

static void test_incomplete(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	dataplane_close(d);
	assert_int_equal(unlink(PIN_DIR "/services"), 0);
	assert_refused(&o, -EUCLEAN, "\"services\"", "lbd --detach");
}

static void pin_instead(const char *name, int fd)
{
	char path[DP_PATH_MAX];

	assert_true(fd >= 0);
	assert_int_equal(dp_path(path, PIN_DIR, name), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
}

/* A map somebody replaced by one of another shape. */
static void test_wrong_map(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	dataplane_close(d);
	pin_instead("slot_x", bpf_map_create(BPF_MAP_TYPE_ARRAY, "slot_x", 4, 24, 5, NULL));
	assert_refused(&o, -EUCLEAN, "slot_x", "lbd --detach");
}

/* Same sizes, other kind: packets would be refused a redirect, or the daemon its memory. */
static void test_wrong_kind_of_map(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	dataplane_close(d);
	pin_instead("tx_ports", bpf_map_create(BPF_MAP_TYPE_ARRAY, "tx_ports", 4, 4, LB_TX_PORTS_MAX, NULL));
	assert_refused(&o, -EUCLEAN, "\"tx_ports\"", "lbd --detach");
}

/* A struct of the same size whose members are others: only BTF can tell. */
static int map_with_btf(const char *first, const char *second)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct btf *btf = btf__new_empty();
	int u32_id = btf__add_int(btf, "unsigned int", 4, 0), u64_id = btf__add_int(btf, "unsigned long long", 8, 0);
	int whole = btf__add_array(btf, u32_id, u64_id, LB_FLOW_WAYS);
	int half = btf__add_array(btf, u32_id, u64_id, LB_FLOW_WAYS / 2), fd;

	opts.btf_key_type_id = (__u32)u32_id;
	opts.btf_value_type_id = (__u32)btf__add_struct(btf, "lb_flow_bucket", sizeof(struct lb_flow_bucket));
	assert_int_equal(btf__add_field(btf, first, second ? half : whole, 0, 0), 0);
	if (second)
		assert_int_equal(btf__add_field(btf, second, half, 32 * 8, 0), 0);
	assert_int_equal(btf__load_into_kernel(btf), 0);
	opts.btf_fd = (__u32)btf__fd(btf);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "flows", 4, sizeof(struct lb_flow_bucket), 256, &opts);
	btf__free(btf);
	return fd;
}

static void test_other_struct_of_same_size(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	dataplane_close(d);
	pin_instead("flows", map_with_btf("e", NULL));
	d = env_open(&o, true);
	dataplane_close(d);
	pin_instead("flows", map_with_btf("entry", NULL));
	assert_refused(&o, -EUCLEAN, "\"flows\"", "lbd --detach");
	pin_instead("flows", map_with_btf("e", "f"));
	assert_refused(&o, -EUCLEAN, "\"flows\"", "lbd --detach");
}

static void test_sizes_out_of_range(void **state)
{
	struct dataplane_options o = env_options();

	o.sizes.svc_buckets = 100;
	assert_refused(&o, -EINVAL, "100 service buckets", "");
	o = env_options();
	o.sizes.slot_lines = 1u << 27; /* slot_x would have 2^32 entries */
	assert_refused(&o, -EINVAL, "134217728 slot lines", "");
	o = env_options();
	o.sizes.backends = LB_BIDX_MAX + 2;
	assert_refused(&o, -EINVAL, "32769 backends", "");
}

static void test_last_words(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"verifier",
		 "libbpf: prog 'lb_xdp': BPF program load failed: Permission denied\n"
		 "libbpf: prog 'lb_xdp': -- BEGIN PROG LOAD LOG --\n"
		 "12: (71) r1 = *(u8 *)(r2 +13)\n"
		 "invalid access to packet, off=13 size=1, R2(id=0,off=13,r=0)\n"
		 "processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1\n"
		 "-- END PROG LOAD LOG --\n"
		 "libbpf: prog 'lb_xdp': failed to load: -13\n"
		 "libbpf: failed to load object 'lb_bpf'\n",
		 "12: (71) r1 = *(u8 *)(r2 +13) / invalid access to packet, off=13 size=1, R2(id=0,off=13,r=0)"},
		{"one line", "libbpf: map 'slots': failed to create: Cannot allocate memory(-12)\n\n",
		 "libbpf: map 'slots': failed to create: Cannot allocate memory(-12)"},
		{"nothing", "", "no further words from the kernel"},
		{"noise only", "\nprocessed 2 insns\n", "no further words from the kernel"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[2048], words[256];

		strcpy(text, cases[i].text);
		dp_last_words(text, words, sizeof(words));
		if (strcmp(words, cases[i].want))
			fail_msg("%s: %s", cases[i].name, words);
	}
}

/* The program needs no BTF of the kernel: a kernel built without it will do. */
static void without_kernel_btf(void *arg)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL) < 0)
		_exit(SKIP);
	d = env_open(&o, false);
	env_commit(d);
}

static void test_no_kernel_btf(void **state)
{
	int rc = env_child(without_kernel_btf, NULL);

	assert_true(rc == 0 || rc == SKIP);
}

static void test_uncommitted_leaves_nothing(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	assert_true(env_exists(PIN_DIR "/next"));
	dataplane_close(d);
	assert_false(env_exists(PIN_DIR "/next"));
}

static void test_no_bpffs_elsewhere(void **state)
{
	struct dataplane_options o = env_options();

	o.pin_dir = "/tmp/lbd-pins";
	assert_refused(&o, -ENOTDIR, "not on a BPF file system", "mount -t bpf");
	assert_false(env_exists("/tmp/lbd-pins"));
}

static void test_mount_point(void **state)
{
	struct dataplane_options o = env_options();
	struct err err = {0};

	o.pin_dir = "/sys/fs/bpf";
	assert_refused(&o, -EINVAL, "mount point", "/sys/fs/bpf/lbd");
	assert_int_equal(dataplane_detach_all("/sys/fs/bpf", &err), -EINVAL);
}

static void unmounted(void *arg)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;

	if (unshare(CLONE_NEWNS) < 0 || umount("/sys/fs/bpf") < 0)
		_exit(2);
	/* Whatever stands below it, too: the test may itself run in a sandbox with a bpffs of its own. */
	while (umount("/sys/fs/bpf") == 0)
		;
	d = env_open(&o, false);
	env_commit(d);
	_exit(env_exists(PIN_DIR "/meta") ? 0 : 3);
}

static void test_mounts_bpffs(void **state)
{
	assert_int_equal(env_child(unmounted, NULL), 0);
	assert_false(env_exists(PIN_DIR));
}

static void test_nested_pin_dir(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;
	struct err err = {0};

	o.pin_dir = "/sys/fs/bpf/a/b";
	d = env_open(&o, false);
	env_commit(d);
	assert_true(env_exists("/sys/fs/bpf/a/b/meta"));
	dataplane_close(d);
	assert_int_equal(dataplane_detach_all("/sys/fs/bpf/a/b", &err), 0);
	assert_int_equal(rmdir("/sys/fs/bpf/a"), 0);
}

static void test_detach_all(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);
	struct err err = {0};
	__u32 id = 1;

	sh("ip link add lb0 type veth peer name lb0p");
	env_attach(d, "lb0");
	dataplane_close(d);
	assert_int_equal(mkdir(PIN_DIR "/next", 0700), 0); /* debris goes too */
	assert_int_equal(mkdir(PIN_DIR "/new", 0700), 0);
	assert_int_equal(dataplane_detach_all(PIN_DIR, &err), 0);
	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex("lb0"), 0, &id), 0);
	assert_int_equal(id, 0); /* at once, not some time later */
	assert_false(env_exists(PIN_DIR));
	assert_int_equal(dataplane_detach_all(PIN_DIR, &err), 0);
	assert_int_equal(dataplane_detach_all("/tmp", &err), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, env_reset)
	const struct CMUnitTest tests[] = {
		TEST(test_new),
		TEST(test_adopt_after_kill),
		TEST(test_tail_calls_change_with_commit),
		TEST(test_smaller_wish_keeps_maps),
		TEST(test_grow_all),
		TEST(test_grow_slots_only),
		TEST(test_other_svc_seed),
		TEST(test_grow_merges_slot_live),
		TEST(test_other_seed),
		TEST(test_stale_layout),
		TEST(test_incomplete),
		TEST(test_wrong_map),
		TEST(test_wrong_kind_of_map),
		TEST(test_other_struct_of_same_size),
		TEST(test_last_words),
		TEST(test_no_kernel_btf),
		TEST(test_uncommitted_leaves_nothing),
		TEST(test_sizes_out_of_range),
		TEST(test_no_bpffs_elsewhere),
		TEST(test_mount_point),
		TEST(test_mounts_bpffs),
		TEST(test_nested_pin_dir),
		TEST(test_detach_all),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
