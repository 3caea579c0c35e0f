// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_words.c - when the kernel refuses the program: one message that a person can act on, in place of a thousand
 * lines of verifier log.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "privilege.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOG_TAIL_BYTES 4096
#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* libbpf has one print function per process; so there is one buffer. Only the tail of the text is kept. */
static char libbpf_text[LOG_TAIL_BYTES + 1];

static int keep_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	size_t have = strlen(libbpf_text), len, keep;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	len = strlen(text);
	if (len >= LOG_TAIL_BYTES) {
		memcpy(libbpf_text, text + len - LOG_TAIL_BYTES, LOG_TAIL_BYTES + 1);
		return 0;
	}
	keep = have + len > LOG_TAIL_BYTES ? LOG_TAIL_BYTES - len : have;
	memmove(libbpf_text, libbpf_text + have - keep, keep);
	memcpy(libbpf_text + keep, text, len + 1);
	return 0;
}

void dp_listen(void)
{
	libbpf_set_print(keep_text);
	libbpf_text[0] = '\0';
}

/* Lines that only frame or count; the reason stands before them. */
static bool is_noise(const char *line)
{
	static const char *const noise[] = {"processed ", "-- END PROG LOAD LOG", "failed to load", "-- BEGIN PROG",
					    "verification time", "stack depth", "RLIMIT_MEMLOCK", "ulimit"};

	if (!*line)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		if (strstr(line, noise[i]))
			return true;
	return false;
}

void dp_last_words(char *text, char *buf, size_t size)
{
	const char *last = NULL, *before = NULL;
	char *end = text + strlen(text);

	while (end > text && !before) {
		char *line;

		while (end > text && end[-1] == '\n')
			*--end = '\0';
		for (line = end; line > text && line[-1] != '\n'; line--)
			;
		if (!is_noise(line)) {
			before = last ? line : NULL;
			last = last ? last : line;
		}
		end = line;
	}
	if (!last)
		snprintf(buf, size, "no further words from the kernel");
	else
		snprintf(buf, size, "%s%s%s", before ? before : "", before ? " / " : "", last);
}

int dp_load_failed(int code, const char *what, struct err *err)
{
	char words[220], missing[80];
	struct utsname u;

	dp_last_words(libbpf_text, words, sizeof(words));
	uname(&u);
	err_set(err, code, "the kernel (Linux %s) refuses a program: %s: %s: %s", u.release, what, strerror(-code),
		words);
	if (privilege_missing(missing, sizeof(missing)))
		err_hint(err, "missing: %s; run as root or grant them to the service", missing);
	else if (access(KERNEL_BTF, R_OK) < 0)
		err_hint(err, "this kernel has no BTF (%s); use one built with CONFIG_DEBUG_INFO_BTF", KERNEL_BTF);
	else if (code == -EPERM)
		err_hint(err, "inside a container or user namespace BPF needs the capabilities of the initial one");
	else
		err_hint(err, "lbd is tested on Linux 6.1 and later; please report this message");
	return code;
}
