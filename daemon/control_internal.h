/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_internal.h - what the files of the control socket share: control.c (listener, dispatch),
 * control_conn.c (one client's bytes and deadlines), control_socket.c (the file, its owner, the peer's
 * rights), control_events.c (ring).
 */
#pragma once
#include "control.h"
#include "core/request.h"
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

/* ---- control_socket.c ---- */
struct control_socket {
	int fd, lock_fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* of the file we made: control_free() removes no other */
	ino_t ino;
	char group[64]; /* empty: none */
	gid_t gid;
};
int control_socket_open(struct control_socket *s, const char *path, const char *group, struct err *err);
void control_socket_close(struct control_socket *s);

struct control_peer {
	uid_t uid;
	pid_t pid;
	bool may_change; /* root, or a member of the group, at the time of connecting */
};
int control_peer_get(const struct control_socket *s, int fd, struct control_peer *out);

/* ---- control_events.c: the last CONTROL_EVENTS events as lines; oldest first ---- */
#define CONTROL_EVENTS 1000u
struct control_events {
	char *line[CONTROL_EVENTS]; /* owned; number seq stands at seq % CONTROL_EVENTS */
	size_t len[CONTROL_EVENTS];
	uint64_t next; /* number of the next event; the first is 1 */
};
void control_events_init(struct control_events *e);
void control_events_done(struct control_events *e);
/* Number @event, serialize and keep it. The line belongs to the ring. NULL when out of memory (the event is
 * lost). */
const char *control_events_add(struct control_events *e, const json_t *event, size_t *len);
/* The "events" document: those after number @since, at most the last @last. */
json_t *control_events_document(const struct control_events *e, uint64_t since, uint64_t last);

/* ---- control_conn.c ---- */
enum conn_wait { CONN_WAIT_IDLE, CONN_WAIT_LINE, CONN_WAIT_SEND, CONN_WAIT_FOLLOW };

struct control_conn {
	LIST_ENTRY(control_conn) link;
	struct control *control;
	int fd;
	sd_event_source *io, *timer;
	enum conn_wait wait; /* what the timer is for */
	struct framer in;
	char *out; /* owned; [sent, len) is to be sent */
	size_t out_len, out_sent, out_size;
	bool eof;       /* the peer will send no more */
	bool following; /* carries events only, from now on */
	bool closing;   /* no more requests: close when all is sent */
	struct control_peer peer;
};
/* Take over @fd. The connection frees itself when it is over. */
int control_conn_new(struct control *c, int fd, const struct control_peer *peer);
void control_conn_free(struct control_conn *k);
/* Queue a line and send what the socket takes. May free @k (a dead peer, a full queue): do not touch it
 * afterwards. */
void control_conn_push(struct control_conn *k, const char *line, size_t len);

/* ---- control.c ---- */
struct control {
	sd_event *event;
	sd_event_source *accept;
	struct control_socket socket;
	const struct control_verb *verbs;
	void *userdata;
	struct control_limits limits;
	LIST_HEAD(, control_conn) conns;
	unsigned int n_conns;
	struct control_events events;
};
/* Decode and run one request line; the answer as a new document (NULL when out of memory). Sets
 * @k->following. */
json_t *control_serve(struct control_conn *k, const char *line, size_t len);
