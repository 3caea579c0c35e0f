// SPDX-License-Identifier: Apache-2.0
/*
 * top.c - lbctl top: what happens now, as rates per service and backend. Two "backends" documents and the
 * time between them give the rates; each is asked for on a connection of its own, so that a restart of the
 * daemon is only a gap.
 */
#include "client.h"
#include "rates.h"
#include "show.h"
#include "verbs.h"
#include "core/cleanup.h"

#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct top_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	bool once;
	int interval_ms;
	enum rates_order order;
};

static error_t parse_top(int key, char *arg, struct argp_state *state)
{
	struct top_options *o = state->input;
	double s;
	char *end;

	switch (key) {
	case '1':
		o->once = true;
		return 0;
	case 'd':
		s = strtod(arg, &end);
		if (end == arg || *end || !(s >= 0.1 && s <= 3600))
			argp_error(state, "'%s' is not a time in seconds (0.1 to 3600)", arg);
		o->interval_ms = (int)(s * 1000);
		return 0;
	default:
		return lbctl_parse_words(key, arg, state);
	}
}

static int fetch(struct lbctl *ctx, const struct top_options *o, json_t **doc)
{
	const char *service = o->words.word[0];

	return client_call(ctx, "backends", service ? json_pack("{s:s}", "service", service) : NULL, doc);
}

/* ---- plain ---- */

static int print_once(struct lbctl *ctx, const struct top_options *o)
{
	static const struct show_column columns[] = {
		{"SERVICE", 0},
		{"BACKEND", 0},
		{"ADDRESS", 0},
		{"STATE", 0},
		{"PACKETS/S", SHOW_RIGHT},
		{"BITS/S", SHOW_RIGHT},
		{"TRAFFIC", SHOW_RIGHT},
		{"SLOTS", SHOW_RIGHT},
		{NULL, 0},
	};
	const struct timespec interval = {o->interval_ms / 1000, o->interval_ms % 1000 * 1000000l};
	__attribute__((cleanup(rates_done))) struct rates rates = {0};
	json_t *first = NULL, *second = NULL;
	struct show_table *t;
	int r = fetch(ctx, o, &first);

	if (!r) {
		(void)nanosleep(&interval, NULL);
		r = fetch(ctx, o, &second);
	}
	if (!r && ctx->json) {
		show_json(second);
	} else if (!r) {
		rates_build(&rates, first, second, o->order);
		t = show_table_new(ctx, columns);
		for (size_t i = 0; i < rates.n; i++) {
			const struct rates_row *x = &rates.row[i];

			show_table_row(t);
			show_put_text(t, x->service);
			show_put_text(t, x->backend);
			show_put_text(t, x->address);
			show_put_state(t, x->state);
			show_put(t, show_count((uint64_t)x->pps));
			show_put(t, show_count((uint64_t)x->bps));
			show_put(t, show_percent(x->traffic_share));
			show_put(t, show_percent(x->slot_share));
		}
		show_table_print(t);
	}
	json_decref(first);
	json_decref(second);
	return r;
}

/* ---- live ---- */

enum { PAIR_GREEN = 1, PAIR_YELLOW, PAIR_RED, PAIR_CYAN };

static attr_t colour_of(const char *state)
{
	const char *c = show_state_colour(state);

	if (!c || !has_colors())
		return A_NORMAL;
	return (attr_t)COLOR_PAIR(!strcmp(c, "green")    ? PAIR_GREEN
				  : !strcmp(c, "yellow") ? PAIR_YELLOW
				  : !strcmp(c, "red")    ? PAIR_RED
							 : PAIR_CYAN);
}

static void screen_on(void)
{
	(void)initscr();
	(void)cbreak();
	(void)noecho();
	(void)nodelay(stdscr, TRUE);
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	if (has_colors()) {
		(void)start_color();
		(void)use_default_colors();
		(void)init_pair(PAIR_GREEN, COLOR_GREEN, -1);
		(void)init_pair(PAIR_YELLOW, COLOR_YELLOW, -1);
		(void)init_pair(PAIR_RED, COLOR_RED, -1);
		(void)init_pair(PAIR_CYAN, COLOR_CYAN, -1);
	}
}

/* Names and reasons are cut to their column; ncurses shows control characters as ^X by itself. */
static void cell(int y, int x, int width, bool right, const char *text)
{
	mvprintw(y, x, right ? "%*.*s" : "%-*.*s", width, width, text ? text : "");
}

static void draw_row(int y, const struct rates_row *x)
{
	_cleanup_free_ char *pps = show_count((uint64_t)x->pps);
	_cleanup_free_ char *bps = show_count((uint64_t)x->bps);
	int bar = (int)(x->traffic_share * 20 + 0.5);

	cell(y, 0, 16, false, x->service);
	cell(y, 17, 18, false, x->backend);
	(void)attron(colour_of(x->state));
	cell(y, 36, 18, false, x->state);
	(void)attroff(colour_of(x->state));
	cell(y, 55, 8, true, pps);
	cell(y, 64, 8, true, bps);
	mvprintw(y, 73, "%5.1f%% %5.1f%% ", x->traffic_share * 100, x->slot_share * 100);
	for (int i = 0; i < bar && 87 + i < COLS; i++)
		(void)mvaddch(y, 87 + i, '#');
}

static void draw(const struct rates *rates, const struct top_options *o, bool paused, size_t first)
{
	static const char *const orders[] = {"name", "packets", "state"};
	_cleanup_free_ char *pps = show_count((uint64_t)rates->pps);
	_cleanup_free_ char *bps = show_count((uint64_t)rates->bps);

	(void)erase();
	mvprintw(0, 0, "lbd  %s packets/s  %s bits/s  %zu backends  every %.1fs%s", pps, bps, rates->n,
		 o->interval_ms / 1000.0, paused ? "  PAUSED" : "");
	(void)attron(A_REVERSE);
	mvprintw(1, 0, "%-*.*s", COLS, COLS,
		 "SERVICE          BACKEND            STATE                  PKT/S    BIT/S TRAFFIC  SLOTS");
	(void)attroff(A_REVERSE);
	for (size_t i = first; i < rates->n && (int)(i - first) + 3 < LINES; i++)
		draw_row((int)(i - first) + 2, &rates->row[i]);
	mvprintw(LINES - 1, 0, "q quit  p pause  s sort (by %s)  up/down scroll", orders[o->order]);
	(void)refresh();
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct view {
	bool paused, quit;
	size_t first, n;
};

static void on_key(int key, struct top_options *o, struct view *v)
{
	switch (key) {
	case 'q':
	case 'Q':
		v->quit = true;
		break;
	case 'p':
	case ' ':
		v->paused = !v->paused;
		break;
	case 's':
		o->order = (o->order + 1) % RATES_ORDER_MAX;
		break;
	case KEY_DOWN:
		v->first += v->first + 1 < v->n;
		break;
	case KEY_UP:
		v->first -= v->first > 0;
		break;
	default: /* KEY_RESIZE: drawn anew anyway */
		break;
	}
}

/* Keys until @until_ms; each is obeyed at once. */
static void wait_and_obey(int64_t until_ms, struct top_options *o, struct view *v, const struct rates *rates)
{
	while (!v->quit) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		int64_t left = until_ms - now_ms();
		int key;

		if (left <= 0 && !v->paused)
			return;
		if (poll(&p, 1, v->paused || left > 500 ? 500 : (int)left) < 0 && errno != EINTR)
			return;
		if (p.revents & (POLLHUP | POLLERR))
			v->quit = true;
		while ((key = getch()) != ERR) {
			on_key(key, o, v);
			draw(rates, o, v->paused, v->first);
		}
	}
}

/* A daemon that is being restarted is a gap, not the end: its absence stands in the last line until it is
 * back. */
static void refresh_rates(struct lbctl *ctx, const struct top_options *o, struct rates *rates,
			  json_t **before, struct view *v)
{
	_cleanup_free_ char *text = NULL;
	json_t *now = NULL;
	size_t len = 0;
	int r;

	lbctl_messages = open_memstream(&text, &len);
	r = fetch(ctx, o, &now);
	if (lbctl_messages)
		fclose(lbctl_messages);
	lbctl_messages = NULL;
	if (r) {
		mvprintw(LINES - 1, 0, "%-*.*s", COLS - 1,
			 text && strchr(text, '\n') ? (int)strcspn(text, "\n") : COLS - 1, text ? text : "");
		(void)refresh();
		return;
	}
	rates_build(rates, *before, now, o->order);
	v->n = rates->n;
	if (v->first >= v->n)
		v->first = 0;
	draw(rates, o, v->paused, v->first);
	json_decref(*before);
	*before = now;
}

static int live(struct lbctl *ctx, struct top_options *o)
{
	__attribute__((cleanup(rates_done))) struct rates rates = {0};
	struct view v = {0};
	json_t *before = NULL;
	int r = fetch(ctx, o, &before); /* before the screen is ours: its message stays readable */

	if (r)
		return r;
	screen_on();
	draw(&rates, o, false, 0);
	for (int64_t next = now_ms() + 300; !v.quit; next = now_ms() + o->interval_ms) {
		wait_and_obey(next, o, &v, &rates);
		if (!v.quit)
			refresh_rates(ctx, o, &rates, &before, &v);
	}
	(void)endwin();
	json_decref(before);
	return LBCTL_OK;
}

int verb_top(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"once", '1', NULL, 0,
		 "Print the rates of one interval and end (so it is when stdout is no terminal)", 0},
		{"interval", 'd', "SECONDS", 0, "Time between two looks (default 2)", 0},
		{0},
	};
	static const struct argp argp = {options,
					 parse_top,
					 "[SERVICE]",
					 "Live rates per backend.\v"
					 "Keys: q quit, p pause, s sort by name, packets or state, arrows "
					 "scroll. TRAFFIC is the share of the "
					 "service's packets, SLOTS the share of its table: they should be "
					 "alike when there are many clients.",
					 NULL,
					 NULL,
					 NULL};
	struct top_options o = {.words.max = 1, .interval_ms = 2000};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	if (o.once || ctx->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return print_once(ctx, &o);
	return live(ctx, &o);
}
