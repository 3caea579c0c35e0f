// SPDX-License-Identifier: Apache-2.0
/*
 * admission_pool.c - the rules that need the whole pool: ejection caps, mass-failure guard, panic threshold.
 *
 * A member counts when the operator left it in and its weight is above 0; one that waits for its first probe
 * before it may serve counts neither as good nor as bad, and need not wait when there is nobody else.
 */
#include "core/admission_internal.h"

#include <stdio.h>
#include <string.h>

#define RECHECK_NS (1000 * NS_PER_MS) /* while somebody is held: does anybody answer? */

static bool counts(const struct admission *a, __u32 weight)
{
	return weight && a->admin == LB_ADMIN_NONE && !(a->active == HEALTH_UNKNOWN && a->starts_out);
}

static bool waits(const struct admission *a, __u32 weight)
{
	return weight && a->admin == LB_ADMIN_NONE && a->active == HEALTH_UNKNOWN && a->starts_out;
}

static bool serves(const struct admission *a)
{
	return a->held || a->state == ADMISSION_UNKNOWN || a->state == ADMISSION_HEALTHY ||
	       a->state == ADMISSION_SLOW_START || a->state == ADMISSION_SUSPECT;
}

/* ---- ejection caps -------------------------------------------------------------------------- */

struct ejected {
	unsigned int members, ejected;
	__u64 weight, ejected_weight;
};

static struct ejected count_ejected(struct admission *const *a, const __u32 *weight, unsigned int n)
{
	struct ejected e = {0};

	for (unsigned int i = 0; i < n; i++) {
		if (!counts(a[i], weight[i]))
			continue;
		e.members++;
		e.weight += weight[i];
		if (a[i]->passive == PASSIVE_EJECT) {
			e.ejected++;
			e.ejected_weight += weight[i];
		}
	}
	return e;
}

static bool within_caps(const struct ejected *e, const struct admission_policy *p)
{
	if (!e->ejected)
		return true;
	if (!p->eject_max_pct || e->members < 3)
		return false;
	if (e->members < 10)
		return e->ejected == 1;
	return e->ejected_weight * 100 <= e->weight * p->eject_max_pct;
}

bool admission_may_eject(struct admission *const *a, const __u32 *weight, unsigned int n,
			 const struct admission_policy *p, unsigned int which)
{
	struct ejected e = count_ejected(a, weight, n);

	if (which >= n || !counts(a[which], weight[which]) || a[which]->passive == PASSIVE_EJECT)
		return false;
	e.ejected++;
	e.ejected_weight += weight[which];
	return within_caps(&e, p);
}

/* The pool shrank under the ejections (a drain, a reload): the longest ejected come back first. */
static void enforce_caps(struct admission *const *a, const __u32 *weight, unsigned int n,
			 const struct admission_policy *p, __u64 now_ns)
{
	for (;;) {
		struct ejected e = count_ejected(a, weight, n);
		struct admission *oldest = NULL;

		if (within_caps(&e, p))
			return;
		for (unsigned int i = 0; i < n; i++)
			if (counts(a[i], weight[i]) && a[i]->passive == PASSIVE_EJECT &&
			    (!oldest || a[i]->passive_since_ns < oldest->passive_since_ns))
				oldest = a[i];
		oldest->passive = PASSIVE_CLEAR;
		admission_update(oldest, p, now_ns);
	}
}

/* ---- mass failure --------------------------------------------------------------------------- */

static void hold(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	a->held = true;
	a->held_since_ns = now_ns;
	a->answers_since_ns = 0;
	admission_update(a, p, now_ns);
}

/* From now on the silence is believed, and the time to the hard down begins. */
static void release(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	a->held = false;
	a->believed = true;
	a->silent_since_ns = now_ns;
	a->silent_results = 1;
	admission_update(a, p, now_ns);
}

static bool is_doubtful(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	return admission_is_silent(a) && a->kept && !a->believed &&
	       (a->held || now_ns - a->silent_since_ns <= p->mass_failure_ms * NS_PER_MS);
}

/* Has anybody answered lately, and since @since_ns? Then the prober's own path works, for a part of the pool
 * at least. */
static bool somebody_answers(struct admission *const *a, unsigned int n, const struct admission_policy *p,
			     __u64 now_ns, __u64 since_ns)
{
	for (unsigned int i = 0; i < n; i++)
		if (a[i]->answered_ns > since_ns &&
		    now_ns - a[i]->answered_ns <= p->mass_failure_ms * NS_PER_MS)
			return true;
	return false;
}

/*
 * A held silence is believed when others have been answering for mass_failure_hold_ms: long enough for the
 * member's own probes to succeed again, if it was the prober's path that had failed and is back.
 */
static bool is_confirmed(struct admission *m, struct admission *const *a, unsigned int n,
			 const struct admission_policy *p, __u64 now_ns)
{
	if (!p->mass_failure_pct)
		return true;
	if (!somebody_answers(a, n, p, now_ns, m->held_since_ns))
		m->answers_since_ns = 0;
	else if (!m->answers_since_ns)
		m->answers_since_ns = now_ns;
	return m->answers_since_ns && now_ns - m->answers_since_ns >= p->mass_failure_hold_ms * NS_PER_MS;
}

/* Returns the number of members held. */
static unsigned int doubt_silence(struct admission *const *a, const __u32 *weight, unsigned int n,
				  const struct admission_policy *p, __u64 now_ns, unsigned int total)
{
	unsigned int doubtful = 0, held = 0;
	bool trip;

	for (unsigned int i = 0; i < n; i++)
		doubtful += counts(a[i], weight[i]) && is_doubtful(a[i], p, now_ns);
	/* One silent host is never a mass, however small the pool. */
	trip = p->mass_failure_pct && doubtful >= 2 &&
	       (__u64)doubtful * 100 > (__u64)total * p->mass_failure_pct;
	for (unsigned int i = 0; i < n; i++) {
		if (a[i]->held && is_confirmed(a[i], a, n, p, now_ns))
			release(a[i], p, now_ns);
		else if (!a[i]->held && trip && counts(a[i], weight[i]) && is_doubtful(a[i], p, now_ns))
			hold(a[i], p, now_ns);
		held += a[i]->held;
	}
	return held;
}

/* ---- panic ---------------------------------------------------------------------------------- */

static void set_panic(struct admission *a, const struct admission_policy *p, bool panic, __u64 now_ns)
{
	if (a->panic == panic)
		return;
	a->panic = panic;
	if (!panic && admission_is_silent(a))
		a->silent_since_ns = now_ns;
	admission_update(a, p, now_ns);
}

static bool is_panic(struct admission *const *a, const __u32 *weight, unsigned int n,
		     const struct admission_policy *p)
{
	__u64 base = 0, good = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!counts(a[i], weight[i]))
			continue;
		base += weight[i];
		good += serves(a[i]) ? weight[i] : 0;
	}
	return base && good * 100 < base * p->panic_threshold_pct;
}

void admission_pool(struct admission *const *a, const __u32 *weight, unsigned int n,
		    const struct admission_policy *p, __u64 now_ns, __u32 *fraction,
		    struct admission_pool_result *out)
{
	unsigned int held;

	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < n; i++)
		out->total += counts(a[i], weight[i]);
	enforce_caps(a, weight, n, p, now_ns);
	held = doubt_silence(a, weight, n, p, now_ns, out->total);
	out->mass_failure = held > 0;
	out->next_ns = held ? now_ns + RECHECK_NS : 0;
	out->panic = is_panic(a, weight, n, p);
	for (unsigned int i = 0; i < n; i++) {
		bool in = counts(a[i], weight[i]);

		set_panic(a[i], p, out->panic && in, now_ns);
		if (!weight[i])
			fraction[i] = 0;
		else if ((out->panic && in) || (!out->total && waits(a[i], weight[i])))
			fraction[i] = ADMISSION_FULL; /* whom nobody knows is better than nobody */
		else
			fraction[i] = a[i]->held ? a[i]->kept : a[i]->fraction;
		out->serving += fraction[i] > 0;
	}
	if (out->panic)
		snprintf(out->reason, sizeof(out->reason),
			 "less than %u%% of the weight is healthy: every backend serves, healthy or not",
			 p->panic_threshold_pct);
	else if (held)
		snprintf(out->reason, sizeof(out->reason),
			 "%u of %u backends fell silent together: the probes' own path is in doubt, they "
			 "keep serving",
			 held, out->total);
}
