/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_facts.h - what the host says of itself, for core/doctor.h. Reads only; nothing blocks. */
#pragma once
#include "core/doctor.h"

/* Kernel type information; is @f->s->pin_dir on a BPF file system. */
void doctor_look_at_kernel(struct doctor_facts *f);
/* The interface named @out->name: all but its mode. */
void doctor_look_at_interface(struct doctor_interface *out);
/* Which VIPs of @f->s are addresses of this host. */
void doctor_look_at_vips(struct doctor_facts *f);
