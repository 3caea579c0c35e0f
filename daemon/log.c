// SPDX-License-Identifier: Apache-2.0
/*
 * log.c - see log.h.
 *
 * The journal is used only when JOURNAL_STREAM names the very file that stderr is: sd_journal_send() reports success
 * even when nobody listens, and a daemon started by hand from a unit's shell inherits the variable but not the stream.
 * A value that came from outside can not forge a line: control characters are escaped, values with blanks are quoted.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define FIELDS_MAX 24 /* key=value pairs of one event; more are cut off */

static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_to_journal;

static const struct {
	const char *word;
	const char *journal;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "PRIORITY=3"},
	[LOG_LEVEL_WARNING] = {"warning", "PRIORITY=4"},
	[LOG_LEVEL_INFO] = {"info", "PRIORITY=6"},
	[LOG_LEVEL_DEBUG] = {"debug", "PRIORITY=7"},
};

static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!env || sscanf(env, "%llu:%llu", &dev, &ino) != 2 || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return (unsigned long long)st.st_dev == dev && (unsigned long long)st.st_ino == ino;
}

void log_open(enum log_level max)
{
	log_max = max;
	log_to_journal = stderr_is_journal();
}

/* One line of text under construction; what does not fit is cut off, never overrun. */
struct line {
	char text[LINE_BYTES];
	size_t len;
};

static void line_char(struct line *l, char c)
{
	if (l->len + 2 < sizeof(l->text)) /* room for the newline */
		l->text[l->len++] = c;
}

static void line_text(struct line *l, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x20 && c != 0x7f) {
			line_char(l, (char)c);
			continue;
		}
		line_char(l, '\\');
		line_char(l, 'x');
		line_char(l, hex[c >> 4]);
		line_char(l, hex[c & 15]);
	}
}

static void line_value(struct line *l, const char *s)
{
	bool quote = !*s || strpbrk(s, " \t\"=");

	if (!quote) {
		line_text(l, s);
		return;
	}
	line_char(l, '"');
	for (; *s; s++) {
		char one[2] = {*s, 0};

		if (*s == '"' || *s == '\\')
			line_char(l, '\\');
		line_text(l, one);
	}
	line_char(l, '"');
}

static void line_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char stamp[48];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + n, sizeof(stamp) - n, ".%03ldZ", ts.tv_nsec / 1000000);
	line_text(l, stamp);
}

static void write_text(enum log_level level, const char *event, const char *message, va_list fields)
{
	struct line l = {.len = 0};
	const char *key, *value;
	ssize_t n;

	line_time(&l);
	line_char(&l, ' ');
	line_text(&l, levels[level].word);
	line_char(&l, ' ');
	line_text(&l, event);
	line_char(&l, ' ');
	line_text(&l, message);
	while ((key = va_arg(fields, const char *)) && (value = va_arg(fields, const char *))) {
		line_char(&l, ' ');
		line_text(&l, key);
		line_char(&l, '=');
		line_value(&l, value);
	}
	l.text[l.len++] = '\n';
	n = write(STDERR_FILENO, l.text, l.len); /* one write: lines of several processes do not mix */
	(void)n;
}

/* Journal field names are upper case; ours carry a prefix so that they never meet a trusted or common field. */
static int journal_field(struct iovec *iov, const char *key, const char *value)
{
	size_t size = strlen("LBD_") + strlen(key) + 1 + strlen(value) + 1;
	char *text = malloc(size);

	if (!text)
		return -1;
	snprintf(text, size, "LBD_%s=%s", key, value);
	for (char *p = text; *p != '='; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		else if (!(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9'))
			*p = '_';
	}
	*iov = (struct iovec){.iov_base = text, .iov_len = size - 1};
	return 0;
}

static void write_journal(enum log_level level, const char *event, const char *message, va_list fields)
{
	struct iovec iov[FIELDS_MAX + 3];
	const char *key, *value;
	char text[LINE_BYTES];
	int n = 0;

	iov[n++] = (struct iovec){(void *)levels[level].journal, strlen(levels[level].journal)};
	snprintf(text, sizeof(text), "MESSAGE=%s", message);
	iov[n++] = (struct iovec){text, strlen(text)};
	if (!journal_field(&iov[n], "event", event))
		n++;
	while (n < FIELDS_MAX + 3 && (key = va_arg(fields, const char *)) &&
	       (value = va_arg(fields, const char *)))
		if (!journal_field(&iov[n], key, value))
			n++;
	(void)sd_journal_sendv(iov, n);
	for (int i = 2; i < n; i++)
		free(iov[i].iov_base);
}

void log_event(enum log_level level, const char *event, const char *message, ...)
{
	va_list fields;

	if (level > log_max)
		return;
	va_start(fields, message);
	if (log_to_journal)
		write_journal(level, event, message, fields);
	else
		write_text(level, event, message, fields);
	va_end(fields);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char text[LINE_BYTES];
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event(level, "message", text, NULL);
}

void log_err(const struct err *e)
{
	if (!err_is_set(e))
		return;
	if (e->hint[0])
		log_event(LOG_LEVEL_ERROR, "error", e->msg, "hint", e->hint, NULL);
	else
		log_event(LOG_LEVEL_ERROR, "error", e->msg, NULL);
}
