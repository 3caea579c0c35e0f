// SPDX-License-Identifier: Apache-2.0
/* privilege.c - see privilege.h. */
#include "privilege.h"
#include "core/cleanup.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const struct {
	unsigned int cap;
	const char *name;
	bool to_load;     /* loading and attaching fail without it */
	bool sys_admin_is_enough;
} wanted[] = {
	{CAP_BPF, "CAP_BPF", true, true},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", true, false},
	{CAP_PERFMON, "CAP_PERFMON", true, true}, /* without it the verifier adds speculation barriers, or refuses */
	{CAP_NET_RAW, "CAP_NET_RAW", false, false},
};

int privilege_missing(char *buf, size_t size)
{
	size_t used = 0;
	int missing = 0;

	buf[0] = '\0';
	if (capng_get_caps_process())
		return 0; /* unknown: let the kernel decide */
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!wanted[i].to_load || capng_have_capability(CAPNG_EFFECTIVE, wanted[i].cap))
			continue;
		if (wanted[i].sys_admin_is_enough && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
			continue;
		used += (size_t)snprintf(buf + used, size - used, "%s%s", missing ? ", " : "", wanted[i].name);
		if (used >= size)
			used = size - 1;
		missing++;
	}
	return missing;
}

int privilege_drop(struct err *err)
{
	bool keep[ARRAY_SIZE(wanted)], may_bound;
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "cannot set no_new_privs: %m");
	if (capng_get_caps_process())
		return err_set(err, -EIO, "cannot read this process's capabilities");
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		keep[i] = capng_have_capability(CAPNG_PERMITTED, wanted[i].cap);

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (keep[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, wanted[i].cap);
	/* The bounding set first, while CAP_SETPCAP is still effective; libcap-ng orders it so. */
	rc = capng_apply(may_bound ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS);
	if (rc)
		return err_set(err, -EPERM, "cannot drop capabilities (libcap-ng code %d)", rc);
	return 0;
}
