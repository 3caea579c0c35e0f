// SPDX-License-Identifier: Apache-2.0
/* explain_report.c - a packet's way in words, and as a document. */
#include "core/explain.h"

#include "core/document.h"
#include "core/report.h"

#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CLIENT_MTU 1500u

static const char *const outcome_names[] = {
#define X(id, name) [LB_OUTCOME_##id] = name,
	LB_OUTCOMES(X)
#undef X
};

const char *explain_outcome_name(int outcome)
{
	return outcome >= 0 && outcome < LB_OUTCOME_MAX ? outcome_names[outcome] : NULL;
}

static const char *verdict_name(__u32 verdict)
{
	switch (verdict) {
	case XDP_TX:
		return "tx";
	case XDP_REDIRECT:
		return "redirect";
	case XDP_PASS:
		return "pass";
	case XDP_DROP:
		return "drop";
	default:
		return "aborted";
	}
}

static const char *phase_name(enum lb_phase p)
{
	return p == LB_PHASE_P1 ? "p1" : p == LB_PHASE_P2 ? "p2" : "settled";
}

/* ---- why ------------------------------------------------------------------------------------------------------- */

static const char *why_ended(const struct explain *x, char *buf, size_t size)
{
	switch (x->outcome) {
	case LB_OUTCOME_PASS_NOT_VIP:
		return "the destination is no VIP of any service: this host's stack gets the packet";
	case LB_OUTCOME_PASS_VIP_OTHER:
		snprintf(buf, size, "a VIP, but no service on this port and protocol (it has %s): the stack gets it",
			 x->other_ports);
		return buf;
	case LB_OUTCOME_PASS_LOCAL:
		return "this host is the backend: its own stack gets the packet";
	case LB_OUTCOME_DROP_NO_BACKEND:
		return "no backend may serve this slot: the packet is dropped (lbctl backends says why)";
	case LB_OUTCOME_DROP_NO_NEXTHOP:
		return "the backend's next hop is not resolved: the packet is dropped";
	case LB_OUTCOME_DROP_TOO_BIG:
	case LB_OUTCOME_TX_TOO_BIG:
		snprintf(buf, size, "%u bytes do not fit the path to the backend, which carries %u after encapsulation%s",
			 x->q.size, x->chosen.mtu,
			 x->outcome == LB_OUTCOME_TX_TOO_BIG ? ": the client is told so" : "");
		return buf;
	default:
		snprintf(buf, size, "it ends as %s", explain_outcome_name(x->outcome));
		return buf;
	}
}

static const char *why_in_transition(const struct explain *x)
{
	const __u64 *n = x->steer;

	if (n[LB_STEER_SYN])
		return "a SYN opens a connection: it goes to the slot's current backend";
	if (n[LB_STEER_HIT])
		return "this flow is remembered: its entry in the flow table decides";
	if (n[LB_STEER_MISS_NEW])
		return "this flow's SYN came after the switch: its backend is the one that got the SYN";
	if (n[LB_STEER_MISS_ALT])
		return "an established flow that is not known yet stays with the previous owner, and is remembered";
	if (n[LB_STEER_MISS_CURRENT] && n[LB_STEER_STALE])
		return "its remembered backend was given up: it goes to the slot's current backend";
	if (n[LB_STEER_MISS_CURRENT])
		return x->phase == LB_PHASE_P2 ?
			       "after the grace time unknown flows belong to the slot's current backend" :
			       "the previous owner's flows were given up: it goes to the slot's current backend";
	return "this protocol is not tracked: it goes to the slot's current backend";
}

const char *explain_why(const struct explain *x, char *buf, size_t size)
{
	if (x->outcome >= 0)
		return why_ended(x, buf, size);
	if (x->in_transition)
		return why_in_transition(x);
	return "the slot is settled: its one backend serves every flow in it";
}

/* ---- steps and warnings -------------------------------------------------------------------------------------------- */

static void say(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(json_t *list, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(list, document_text(text));
}

static const char *name_of(const struct explain_backend *b)
{
	return b->bidx ? b->name : "nobody";
}

static const char *mac_text(const __u8 m[6], char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

/* "ip4 10.0.2.11 -> 10.0.3.2, 60 bytes": what leaves. */
static void frame_text(const struct explain_frame *f, char *buf, size_t size)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN], mac[18], more[40] = "";

	if (f->encap == LB_ENCAP_NONE)
		snprintf(buf, size, "a frame of %u bytes", f->len);
	else if (f->encap == LB_ENCAP_L2)
		snprintf(buf, size, "l2: itself, to %s", mac_text(f->dst_mac, mac));
	else {
		if (f->encap == LB_ENCAP_GUE4 || f->encap == LB_ENCAP_GUE6)
			snprintf(more, sizeof(more), " port %u", f->gue_dport);
		snprintf(buf, size, "%s %s -> %s%s, %u bytes on the wire", report_encap_name(f->encap),
			 addr_format(&f->src, src), addr_format(&f->dst, dst), more, f->len);
	}
}

static void slot_step(const struct explain *x, json_t *steps)
{
	say(steps, "its hash 0x%016llx%s is slot %u of %u", (unsigned long long)x->hash,
	    x->source_affinity ? ", of the two addresses alone," : "", x->slot, x->m);
	if (x->phase == LB_PHASE_SETTLED)
		say(steps, "the slot is settled on %s", name_of(&x->current));
	else if (x->phase == LB_PHASE_P1)
		say(steps, "the slot is in transition from %s to %s for %u s (its grace time is %u s)", name_of(&x->alt),
		    name_of(&x->current), x->since_s, x->grace_s);
	else
		say(steps, "the slot is in transition to %s, its grace time is over", name_of(&x->current));
}

static void add_steps(const struct explain *x, json_t *steps)
{
	char addr[ADDR_STRLEN], text[240], frame[240];

	addr_format(&x->q.dst, addr);
	if (x->found == EXPLAIN_SERVICE)
		say(steps, "%s port %u/%s is service %s", addr, x->q.dport, report_protocol_name(x->q.protocol),
		    x->service);
	else
		say(steps, "%s port %u/%s is no service", addr, x->q.dport, report_protocol_name(x->q.protocol));
	if (x->found == EXPLAIN_SERVICE)
		slot_step(x, steps);
	say(steps, "%s", explain_why(x, text, sizeof(text)));
	if (x->has_frame && x->outcome < 0) {
		frame_text(&x->frame, frame, sizeof(frame));
		say(steps, "it leaves as %s", frame);
	}
}

static void add_backend_warnings(const struct explain *x, json_t *w)
{
	const struct explain_backend *b = &x->chosen;

	if (b->retired)
		say(w, "backend %s is no longer configured: only its last flows still go there", b->name);
	else if (b->state != ADMISSION_HEALTHY && b->state != ADMISSION_UNKNOWN)
		say(w, "backend %s is %s", b->name, admission_state_name(b->state));
	if (b->mtu && b->mtu < CLIENT_MTU && x->outcome != LB_OUTCOME_PASS_LOCAL)
		say(w,
		    "packets of more than %u bytes do not fit the path to %s: raise its MTU, or lower the MSS that the "
		    "backends announce",
		    b->mtu, b->name);
	if (x->phase == LB_PHASE_P1 && x->alt.bidx && !x->alt.gen_valid)
		say(w, "the previous owner %s was given up: its connections are reset by whom they now reach",
		    x->alt.name);
}

static void add_warnings(const struct explain *x, json_t *w)
{
	if (!x->n_attached)
		say(w, "the program is attached to no interface: no real packet takes this way");
	else if (x->n_attached < x->n_interfaces)
		say(w, "the program is not attached to %s: packets that come in there do not take this way",
		    x->unattached);
	if (x->found != EXPLAIN_SERVICE)
		return;
	if (x->panic)
		say(w, "service %s is in panic: too few backends are healthy, so all that are not disabled serve",
		    x->service);
	if (x->chosen.bidx)
		add_backend_warnings(x, w);
	if (x->outcome < 0 && x->has_frame && !x->frame.intact)
		say(w, "what leaves is not the packet that went in: please report this");
	if (x->outcome < 0 && !x->in_transition && x->chosen.bidx != x->current.bidx)
		say(w, "the program chose another backend than the slot names: please report this");
}

/* ---- the document -------------------------------------------------------------------------------------------------- */

static json_t *backend_json(const struct explain_backend *b)
{
	if (!b->bidx)
		return json_null();
	return json_pack("{s:o, s:o, s:i, s:s, s:b}", "name", document_text(b->name), "address", document_addr(&b->addr),
			 "id", b->bidx, "state", admission_state_name(b->state), "retired", b->retired);
}

static json_t *alt_json(const struct explain *x)
{
	json_t *o;

	if (x->phase != LB_PHASE_P1)
		return json_null();
	o = backend_json(&x->alt);
	if (json_is_object(o))
		(void)json_object_set_new(o, "valid", json_boolean(x->alt.gen_valid));
	return o;
}

static json_t *frame_json(const struct explain_frame *f)
{
	char src[18], dst[18];
	json_t *o = json_pack("{s:I, s:s, s:s, s:o, s:s, s:I, s:b}", "length", (json_int_t)f->len, "source_mac",
			      mac_text(f->src_mac, src), "destination_mac", mac_text(f->dst_mac, dst), "vlan",
			      f->has_vlan ? json_integer(f->vlan_id) : json_null(), "encapsulation",
			      report_encap_name(f->encap), "inner_length", (json_int_t)f->inner_len, "intact", f->intact);

	if (f->encap != LB_ENCAP_NONE)
		(void)json_object_update_new(o, json_pack("{s:o, s:o, s:i, s:i}", "source", document_addr(&f->src),
							  "destination", document_addr(&f->dst), "hop_limit",
							  f->hop_limit, "tos", f->tos));
	if (f->encap == LB_ENCAP_GUE4 || f->encap == LB_ENCAP_GUE6)
		(void)json_object_update_new(o, json_pack("{s:i, s:i}", "source_port", f->gue_sport, "destination_port",
							  f->gue_dport));
	return o;
}

static json_t *steering_json(const struct explain *x)
{
	json_t *o = json_object();

#define X(id, name)                                                                               \
	if (x->steer[LB_STEER_##id])                                                              \
		(void)json_object_set_new(o, name, document_u64(x->steer[LB_STEER_##id]));
	LB_STEERS(X)
#undef X
	return o;
}

static json_t *service_json(const struct explain *x)
{
	if (x->found != EXPLAIN_SERVICE)
		return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n}", "service", "hash", "slot", "table_size",
				 "phase", "since_s", "current", "alt");
	return json_pack("{s:o, s:o, s:I, s:I, s:s, s:o, s:o, s:o}", "service", document_text(x->service), "hash",
			 document_hex64(x->hash), "slot", (json_int_t)x->slot, "table_size", (json_int_t)x->m, "phase",
			 phase_name(x->phase), "since_s",
			 x->phase == LB_PHASE_P1 ? json_integer(x->since_s) : json_null(), "current",
			 backend_json(&x->current), "alt", alt_json(x));
}

int explain_report(const struct explain *x, __u64 now_ns, json_t **data, struct err *err)
{
	json_t *doc = document_new("explain", 1, now_ns), *steps = json_array(), *warnings = json_array();
	char leaves[240] = "", why[240];
	const char *outcome = explain_outcome_name(x->outcome);
	json_t *end;

	add_steps(x, steps);
	add_warnings(x, warnings);
	if (x->has_frame && x->outcome < 0)
		frame_text(&x->frame, leaves, sizeof(leaves));
	end = json_pack("{s:o, s:I, s:o, s:o, s:o, s:s*, s:I, s:s, s:o, s:o, s:o, s:o}", "steps", steps, "size",
			(json_int_t)x->q.size, "backend", backend_json(&x->chosen), "encapsulation",
			leaves[0] ? document_text(leaves) : json_null(), "nexthop",
			x->chosen.nexthop[0] ? document_text(x->chosen.nexthop) : json_null(), "outcome", outcome, "mtu",
			(json_int_t)x->chosen.mtu, "verdict", verdict_name(x->verdict), "why",
			document_text(explain_why(x, why, sizeof(why))), "steering", steering_json(x), "frame",
			x->has_frame && x->outcome < 0 ? frame_json(&x->frame) : json_null(), "warnings", warnings);
	if (!outcome)
		(void)json_object_set_new(end, "outcome", json_null());
	if (json_object_update_new(doc, service_json(x)) || json_object_update_new(doc, end)) {
		json_decref(doc);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*data = doc;
	return 0;
}
