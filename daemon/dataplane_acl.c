// SPDX-License-Identifier: Apache-2.0
/* dataplane_acl.c - the LPM map of source prefixes: what it means is the engine's business. */
#include "dataplane_priv.h"

#include <errno.h>

int dataplane_acl_set(struct dataplane *d, const struct lb_acl_key *key, enum lb_acl verdict)
{
	__u32 value = verdict;

	return bpf_map_update_elem(d->map[DP_ACL].fd, key, &value, BPF_ANY);
}

int dataplane_acl_remove(struct dataplane *d, const struct lb_acl_key *key)
{
	int rc = bpf_map_delete_elem(d->map[DP_ACL].fd, key);

	return rc == -ENOENT ? 0 : rc;
}

int dataplane_acl_next(struct dataplane *d, const struct lb_acl_key *key, struct lb_acl_key *next)
{
	return bpf_map_get_next_key(d->map[DP_ACL].fd, key, next);
}
