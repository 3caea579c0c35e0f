/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - release by scope: _cleanup_(fn), and handing ownership on with take_ptr() / take_fd(). */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_fclose_ _cleanup_(cleanup_fclosep)

#define take_ptr(p)                   \
	({                            \
		__typeof__(p) t_ = (p); \
		(p) = NULL;           \
		t_;                   \
	})
#define take_fd(fd)            \
	({                     \
		int t_ = (fd); \
		(fd) = -1;     \
		t_;            \
	})
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
