// SPDX-License-Identifier: Apache-2.0
/* doctor.c - checks of the host: kernel, program, interfaces, maps. Those of services are in doctor_pools.c. */
#include "core/doctor_internal.h"

#include "core/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_OLDEST_MAJOR 6 /* tests/: the oldest that is tested is 6.1 */
#define KERNEL_OLDEST_MINOR 1
#define HEARTBEAT_LATE_MS 5000

static const char *const level_names[] = {"ok", "warning", "error", "skipped"};

void doctor_add(struct doctor *d, enum doctor_level level, const char *name, const char *object, const char *hint,
		const char *fmt, ...)
{
	char message[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	d->n[level]++;
	(void)json_array_append_new(d->checks, json_pack("{s:s, s:s, s:o, s:o, s:o}", "status", level_names[level], "name",
							 name, "object", document_text(object), "message",
							 document_text(message), "hint",
							 hint ? document_text(hint) : json_null()));
}

void doctor_sum_up(struct doctor *d, const char *name, unsigned int bad, const char *fine)
{
	if (bad > DOCTOR_LISTED_MAX)
		doctor_add(d, DOCTOR_WARNING, name, "", NULL, "and %u more", bad - DOCTOR_LISTED_MAX);
	else if (!bad)
		doctor_add(d, DOCTOR_OK, name, "", NULL, "%s", fine);
}

/* ---- kernel ----------------------------------------------------------------------------------------------------- */

static void check_kernel(struct doctor *d)
{
	const char *release = d->f->s->kernel;
	unsigned int major = 0, minor = 0;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		doctor_add(d, DOCTOR_SKIPPED, "kernel", release, NULL, "its version is not understood");
	else if (major < KERNEL_OLDEST_MAJOR || (major == KERNEL_OLDEST_MAJOR && minor < KERNEL_OLDEST_MINOR))
		doctor_add(d, DOCTOR_WARNING, "kernel", release, "use Linux 6.1 or newer",
			   "older than any that lbd is tested on");
	else
		doctor_add(d, DOCTOR_OK, "kernel", release, NULL, "new enough");
	if (d->f->btf)
		doctor_add(d, DOCTOR_OK, "btf", "", NULL, "the kernel has type information: bpftool shows maps in words");
	else
		doctor_add(d, DOCTOR_WARNING, "btf", "", "use a kernel with CONFIG_DEBUG_INFO_BTF",
			   "/sys/kernel/btf/vmlinux is missing: the maps' types may not be known to bpftool");
	if (d->f->jit > 0)
		doctor_add(d, DOCTOR_OK, "jit", "", NULL, "the program is compiled to machine code");
	else if (d->f->jit == 0)
		doctor_add(d, DOCTOR_WARNING, "jit", "", "sysctl -w net.core.bpf_jit_enable=1, then restart lbd",
			   "the program is interpreted: many times slower");
	else
		doctor_add(d, DOCTOR_SKIPPED, "jit", "", NULL, "the kernel does not say whether the program is compiled");
}

/* ---- what is pinned, and the daemon itself -------------------------------------------------------------------------- */

static void check_pins(struct doctor *d)
{
	const struct doctor_facts *f = d->f;

	if (!f->bpffs)
		doctor_add(d, DOCTOR_ERROR, "pins", f->s->pin_dir,
			   "mount -t bpf bpf /sys/fs/bpf, then restart lbd before anything else ends it",
			   "no BPF file system is mounted there: the data path does not outlive the daemon");
	else if (f->pins_bad)
		doctor_add(d, DOCTOR_ERROR, "pins", f->s->pin_dir,
			   "restart lbd; what is missing it pins anew, or says why it can not",
			   "%u pinned object(s) are missing or replaced, among them %s: the next daemon can not take over "
			   "what this one holds",
			   f->pins_bad, f->pin_bad);
	else
		doctor_add(d, DOCTOR_OK, "pins", f->s->pin_dir, NULL,
			   "program and maps are pinned: packets go on when the daemon ends");
}

static void check_daemon(struct doctor *d)
{
	const struct doctor_facts *f = d->f;

	if (f->heartbeat_age_ms > HEARTBEAT_LATE_MS)
		doctor_add(d, DOCTOR_WARNING, "heartbeat", "", "look for a busy or stopped host; report it with the log",
			   "%llu ms old, due every second: the daemon was held up",
			   (unsigned long long)f->heartbeat_age_ms);
	else
		doctor_add(d, DOCTOR_OK, "heartbeat", "", NULL, "%llu ms old", (unsigned long long)f->heartbeat_age_ms);
	if (f->s->reload_error[0])
		doctor_add(d, DOCTOR_ERROR, "configuration", f->s->config_file,
			   "lbctl check shows all errors; the former configuration is in force",
			   "the last reload was refused: %s", f->s->reload_error);
	else
		doctor_add(d, DOCTOR_OK, "configuration", f->s->config_file, NULL, "in force");
	if (f->seed_from_file)
		doctor_add(d, DOCTOR_OK, "seed", "", NULL, "from a file: give every balancer of the fleet the same");
	else
		doctor_add(d, DOCTOR_WARNING, "seed", "",
			   "with more than one balancer: set dataplane.seed-file, the same on all of them",
			   "made at random on this host: another balancer would send the same flow elsewhere");
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */

static void check_attached(struct doctor *d, const struct doctor_interface *i)
{
	bool generic = !strcmp(i->mode, "generic");

	if (!i->exists)
		doctor_add(d, DOCTOR_ERROR, "interface", i->name, "create it, or take it out of dataplane.interfaces",
			   "there is no such interface: lbd attaches when it appears");
	else if (strcmp(i->mode, "none") == 0)
		doctor_add(d, DOCTOR_ERROR, "interface", i->name,
			   "bpftool net shows who holds XDP there; free it, then restart lbd",
			   "the program is not attached: what comes in there is not balanced");
	else if (!i->up || !i->running)
		doctor_add(d, DOCTOR_ERROR, "interface", i->name, i->up ? "look at cable and peer" : "ip link set up",
			   i->up ? "no carrier" : "down");
	else if (generic && !d->f->generic_wanted)
		doctor_add(d, DOCTOR_WARNING, "interface", i->name,
			   "use a driver with native XDP; on veth and virtio look at MTU and queues, ethtool -i names the "
			   "driver",
			   "attached in generic mode, after the stack has made its buffers: much slower");
	else
		doctor_add(d, DOCTOR_OK, "interface", i->name, NULL, "attached, %s", i->mode);
}

static bool has_v4_vip(const struct snapshot *s)
{
	for (unsigned int i = 0; i < s->n_services; i++)
		for (unsigned int k = 0; k < s->services[i].n_vips; k++)
			if (addr_is_v4(&s->services[i].vips[k]))
				return true;
	return false;
}

static void check_interfaces(struct doctor *d)
{
	unsigned int strict = 0;

	for (unsigned int i = 0; i < d->f->n_interfaces; i++) {
		const struct doctor_interface *x = &d->f->interfaces[i];

		check_attached(d, x);
		/* XDP comes before the filter; but answers to probes through the tunnel come from the VIP. */
		if (x->rp_filter != 1 || !has_v4_vip(d->f->s))
			continue;
		strict++;
		doctor_add(d, DOCTOR_WARNING, "rp_filter", x->name,
			   "sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2 (loose)",
			   "strict: answers from a VIP (to probes through the tunnel) are dropped unless this host's route to "
			   "the VIP leaves by this interface");
	}
	doctor_sum_up(d, "rp_filter", strict, "no interface filters answers from a VIP");
}

/* ---- maps and counters ----------------------------------------------------------------------------------------------- */

static void check_flow_fill(struct doctor *d, const struct doctor_fill *x, double share)
{
	enum doctor_level level = share > 0.5 ? DOCTOR_ERROR : share > 0.25 ? DOCTOR_WARNING : DOCTOR_OK;

	doctor_add(d, level, "map", x->name,
		   level == DOCTOR_OK ? NULL :
					"raise dataplane.max-flows (needs lbd --detach and a restart), or make fewer "
					"changes at a time",
		   "%llu of %llu %s (%.1f%%)%s", (unsigned long long)x->used, (unsigned long long)x->size, x->unit,
		   share * 100, level == DOCTOR_OK ? "" : ": beyond 25% buckets begin to overflow, and flows to be missed");
}

static void check_maps(struct doctor *d)
{
	const struct snapshot *s = d->f->s;

	for (unsigned int i = 0; i < d->f->n_fills; i++) {
		const struct doctor_fill *x = &d->f->fills[i];
		double share = x->size ? (double)x->used / (double)x->size : 0;

		if (!x->grows)
			check_flow_fill(d, x, share);
		else
			doctor_add(d, DOCTOR_OK, "map", x->name, NULL, "%llu of %llu %s (%.1f%%); more are made when a "
				   "reload needs them", (unsigned long long)x->used, (unsigned long long)x->size, x->unit,
				   share * 100);
	}
	doctor_add(d, DOCTOR_OK, "memory", "", NULL, "the maps take %llu KiB of kernel memory",
		   (unsigned long long)s->map_bytes / 1024);
	if (s->outcomes[LB_OUTCOME_DROP_INTERNAL])
		doctor_add(d, DOCTOR_ERROR, "counter", "drop_internal", "please report this with the output of lbctl stats",
			   "%llu packets were dropped by an internal error",
			   (unsigned long long)s->outcomes[LB_OUTCOME_DROP_INTERNAL]);
	if (s->outcomes[LB_OUTCOME_DROP_HEADROOM])
		doctor_add(d, DOCTOR_ERROR, "counter", "drop_headroom",
			   "the driver leaves no room in front of packets: try xdp-mode: generic, or another driver",
			   "%llu packets could not get an outer header",
			   (unsigned long long)s->outcomes[LB_OUTCOME_DROP_HEADROOM]);
}

int doctor_report(const struct doctor_facts *f, json_t **data, struct err *err)
{
	json_t *doc = document_new("doctor", 1, f->s->now_ns);
	struct doctor d = { .f = f, .checks = json_array() };

	check_kernel(&d);
	check_pins(&d);
	check_daemon(&d);
	check_interfaces(&d);
	check_maps(&d);
	doctor_check_services(&d);
	if (json_object_update_new(doc, json_pack("{s:i, s:i, s:o}", "errors", (int)d.n[DOCTOR_ERROR], "warnings",
						  (int)d.n[DOCTOR_WARNING], "checks", d.checks))) {
		json_decref(doc);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*data = doc;
	return 0;
}
