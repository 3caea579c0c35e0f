/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_private.h - what config_*.c share: drafts of services with the places of their parts.
 *
 * A draft may be half read (each flaw has its diagnostic); only when there was no error at all do drafts
 * become a struct config. Reading goes in a fixed order of keys, never in that of the file.
 */
#pragma once
#include "core/config.h"
#include "core/config_fields.h"

struct cfg_backend {
	struct config_backend b;
	bool has_addr;
	struct diag_mark addr_mark, name_mark, weight_mark;
};

/* What a service begins as: a copy of this, filled from `defaults`. */
struct cfg_template {
	struct config_service s; /* s.probe: what was not given and has no fixed default is 0 or empty */
	__u32 weight;
};

struct cfg_service {
	struct config_service s;      /* s.backends stays NULL; s.acl is owned */
	struct cfg_backend *backends; /* owned */
	unsigned int n_backends;
	bool whole; /* every backend could be read */
	struct diag_mark vip_marks[CONFIG_VIPS_MAX];
	struct diag_mark name_mark, port_mark, table_mark, backends_mark;
};

struct cfg_services {
	struct cfg_service *v; /* owned */
	unsigned int n;
	unsigned int n_backends; /* in all services */
	unsigned int n_prefixes; /* the same */
	struct diag_mark mark;
};
void cfg_services_done(struct cfg_services *s);

/* ---- config_probe.c -------------------------------------------------------------------------- */
/* A probe of which nothing is given yet. */
void cfg_probe_init(struct probe_spec *s);
/* `defaults.probe`; what is not given stays so. */
void cfg_read_default_probe(struct cfg *c, yaml_node_t *node, struct probe_spec *s);
/* The probe of a service: @inherited, overridden by @node (NULL: not given). @where: the service, for its
 * place. */
void cfg_read_service_probe(struct cfg *c, yaml_node_t *node, const yaml_node_t *where,
			    const struct probe_spec *inherited, __u8 protocol, struct probe_spec *out);
void cfg_print_probe(FILE *out, int indent, const struct probe_spec *s);

/* ---- config_probe_values.c: keys with a shape of their own ----------------------------------- */
void cfg_read_expect(struct cfg *c, yaml_node_t *node, struct probe_spec *s);
/* @out has PROBE_DATA_MAX bytes; *@len is 0 after an error. */
void cfg_read_data(struct cfg *c, const char *key, const yaml_node_t *node, __u8 *out, __u32 *len);
void cfg_print_expect(FILE *out, int indent, const struct probe_spec *s);
void cfg_print_data(FILE *out, int indent, const char *key, const __u8 *data, __u32 len);

/* ---- config_backend.c ------------------------------------------------------------------------ */
extern const struct cfg_choice cfg_forwards[];
/* What is wrong with a name of a service or backend, or NULL. */
const char *cfg_check_name(const char *text);
#define CFG_NAME_HINT "a name is letters, digits and . _ - : only"
#define CFG_BACKENDS_HINT "backends is a list like - {address: 10.0.1.11}"
/* Read the list @node into @s. @weight: of those that name none. Beyond the limit of @all nothing is kept. */
void cfg_read_backends(struct cfg *c, yaml_node_t *node, __u32 weight, struct cfg_services *all,
		       struct cfg_service *s);
void cfg_print_backends(FILE *out, const struct config_service *s);

/* ---- config_service.c ------------------------------------------------------------------------ */
void cfg_template_init(struct cfg_template *t);
void cfg_read_defaults(struct cfg *c, yaml_node_t *node, struct cfg_template *t);
void cfg_read_services(struct cfg *c, yaml_node_t *node, const struct cfg_template *t,
		       struct cfg_services *out);
void cfg_print_service(FILE *out, const struct config_service *s);

/* ---- config_global.c: dataplane, control, metrics -------------------------------------------- */
void cfg_globals_init(struct config *g);
void cfg_read_dataplane(struct cfg *c, yaml_node_t *node, struct config_dataplane *d);
void cfg_read_control(struct cfg *c, yaml_node_t *node, struct config *g);
void cfg_read_metrics(struct cfg *c, yaml_node_t *node, struct config *g);
void cfg_print_globals(FILE *out, const struct config *g);

/* ---- config_addr.c --------------------------------------------------------------------------- */
/* A literal that may be a VIP, a backend or a source. False with a diagnostic. */
bool cfg_read_addr(struct cfg *c, const char *key, yaml_node_t *node, struct lb_addr *out);

/* ---- config_acl.c ---------------------------------------------------------------------------- */
/* `allow` or `deny` of a service, added to s->s.acl. Beyond the limit of @all nothing is kept. */
void cfg_read_prefixes(struct cfg *c, const char *key, bool deny, yaml_node_t *node, struct cfg_services *all,
		       struct cfg_service *s);
/* After both: sorted, no prefix twice. @node: where to say so. */
void cfg_finish_acl(struct cfg *c, const yaml_node_t *node, struct cfg_service *s);
/* Give @to a copy of @from's list. -ENOMEM. */
int cfg_copy_acl(const struct config_service *from, struct config_service *to);
void cfg_print_acl(FILE *out, const struct config_service *s);

/* ---- config_check.c: what only the whole shows ----------------------------------------------- */
void cfg_check_service(struct cfg *c, const struct cfg_service *s);
void cfg_check_all(struct cfg *c, const struct cfg_services *all, const struct config *g);
