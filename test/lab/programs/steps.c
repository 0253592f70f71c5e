/* The little language of `peer`: what one connection does, step by step. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lines_changed = PTHREAD_COND_INITIALIZER;
static unsigned lines_read;
static bool reader_started;

static void *read_lines(void *unused)
{
	(void)unused;
	for (;;) {
		int character = getchar();

		if (character != '\n' && character != EOF)
			continue;
		pthread_mutex_lock(&lines_lock);
		lines_read = character == EOF ? ~0u : lines_read + 1;
		pthread_cond_broadcast(&lines_changed);
		pthread_mutex_unlock(&lines_lock);
		if (character == EOF)
			return NULL;
	}
}

/* To be called with the lock held. */
static void start_reader(void)
{
	pthread_t reader;

	if (reader_started)
		return;
	reader_started = true;
	pthread_create(&reader, NULL, read_lines, NULL);
	pthread_detach(reader);
}

void await_line(unsigned n)
{
	pthread_mutex_lock(&lines_lock);
	start_reader();
	while (lines_read < n)
		pthread_cond_wait(&lines_changed, &lines_lock);
	pthread_mutex_unlock(&lines_lock);
}

/* Sends at full speed until the next line of standard input. */
static int flood(struct connection *c)
{
	bool more = true;
	int error = 0;

	c->waits++;
	while (more && error == 0) {
		error = send_file(c, 4 << 20);
		pthread_mutex_lock(&lines_lock);
		start_reader();
		more = lines_read < c->waits;
		pthread_mutex_unlock(&lines_lock);
	}
	return error;
}

static int finish(struct connection *c, bool reset)
{
	if (reset) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	c->open = false;
	return close(c->fd) == 0 ? 0 : errno;
}

static int say(struct connection *c, const char *word)
{
	print_json("{\"said\":\"%s\",\"sent\":%lu,\"received\":%lu}", word, c->sent, c->received);
	return 0;
}

static int await(struct connection *c)
{
	await_line(++c->waits);
	return 0;
}

static int run_step(struct connection *c, const char *step)
{
	static const struct {
		const char *name;
		int (*run)(struct connection *, uint64_t);
	} transfers[] = {
	    {"send", send_written},	   {"sendfile", send_file},   {"splice", send_spliced},
	    {"uring", send_uring},	   {"threads", send_threads}, {"fork", send_forked},
	    {"recv", receive_read},	   {"splicerecv", receive_spliced},
	    {"uringrecv", receive_uring},
	};
	const char *colon = strchr(step, ':');
	size_t length = colon ? (size_t)(colon - step) : strlen(step);
	uint64_t amount = colon ? strtoull(colon + 1, NULL, 10) : UINT64_MAX;

	for (size_t i = 0; i < sizeof(transfers) / sizeof(*transfers); i++)
		if (strlen(transfers[i].name) == length && strncmp(step, transfers[i].name, length) == 0)
			return transfers[i].run(c, amount);
	if (strcmp(step, "echo") == 0)
		return echo_all(c);
	if (strcmp(step, "flood") == 0)
		return flood(c);
	if (strcmp(step, "wait") == 0)
		return await(c);
	if (strcmp(step, "shutdown") == 0)
		return shutdown(c->fd, SHUT_WR) == 0 ? 0 : errno;
	if (strcmp(step, "fin") == 0)
		return finish(c, false);
	if (strcmp(step, "rst") == 0)
		return finish(c, true);
	if (strncmp(step, "say:", 4) == 0)
		return say(c, step + 4);
	fprintf(stderr, "unknown step %s\n", step);
	exit(2);
}

void run_steps(struct connection *c, char *const *steps)
{
	for (; *steps && c->error == 0 && c->open; steps++)
		c->error = run_step(c, *steps);
	if (c->open)
		finish(c, false);
}
