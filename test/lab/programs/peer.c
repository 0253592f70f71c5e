/*
 * One end of TCP connections, told step by step what to do. Prints one JSON object a line.
 *
 *   peer listen PORT [--on ADDRESS] [--mptcp] [--backlog N] [--fastopen 1] [--accept-later] [--serve-in CGROUP] -- STEP…
 *   peer dial ADDRESS PORT [--count N] [--concurrent N] [--from ADDRESS] [--local-port P] [--fastopen BYTES]
 *                          [--mss BYTES] [--timeout MS] [--each] -- STEP…
 *
 * Steps: send:N sendfile:N splice:N uring:N threads:N fork:N, recv[:N] splicerecv[:N] uringrecv[:N] (without N: until
 * the other end closes), echo, flood (send until a line of standard input), wait (for a line of standard input), say:WORD, shutdown, fin, rst.
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct {
	const char *on, *from, *serve_in;
	int backlog, count, concurrent, local_port, fastopen, mss, timeout_ms;
	bool mptcp, accept_later, each;
	char *const *steps;
} options = {.backlog = 4096, .count = 1, .concurrent = 1};

static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;

void print_json(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&print_lock);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
	pthread_mutex_unlock(&print_lock);
	va_end(arguments);
}

void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *error_name(int error)
{
	const char *name = error == 0 ? "" : strerrorname_np(error);

	return name ? name : "unknown";
}

struct address parse_address(const char *text, const char *port)
{
	struct address a = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(atoi(port));
		a.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(atoi(port));
		a.length = sizeof(*v6);
	} else {
		errno = EINVAL;
		die(text);
	}
	return a;
}

uint16_t port_of(const struct address *a)
{
	return ntohs(((const struct sockaddr_in *)&a->storage)->sin_port);
}

void format_address(const struct address *a, char *out, size_t size)
{
	const void *where = a->storage.ss_family == AF_INET
				? (const void *)&((const struct sockaddr_in *)&a->storage)->sin_addr
				: (const void *)&((const struct sockaddr_in6 *)&a->storage)->sin6_addr;

	inet_ntop(a->storage.ss_family, where, out, size);
}

static void set(int fd, int level, int name, int value, const char *what)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) != 0)
		die(what);
}

/* ---- listen */

static void *serve(void *argument)
{
	struct connection c = {.fd = (int)(intptr_t)argument, .open = true};
	struct address peer = {.length = sizeof(peer.storage)};
	char text[INET6_ADDRSTRLEN] = "";

	if (getpeername(c.fd, (struct sockaddr *)&peer.storage, &peer.length) == 0)
		format_address(&peer, text, sizeof(text));
	run_steps(&c, options.steps);
	print_json("{\"remote\":\"%s\",\"remotePort\":%d,\"sent\":%lu,\"received\":%lu,\"error\":\"%s\"}", text,
		   port_of(&peer), c.sent, c.received, error_name(c.error));
	return NULL;
}

/* The listener stays what its creator made it; from here on another process in another cgroup serves it. */
static void move_to(const char *cgroup)
{
	char path[4096];
	FILE *file;
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child > 0)
		pause();
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	file = fopen(path, "w");
	if (!file || fputs("0", file) < 0 || fclose(file) != 0)
		die(path);
	print_json("{\"said\":\"moved\",\"pid\":%d}", getpid());
}

static void listen_on(const char *port)
{
	struct address a = parse_address(options.on ? options.on : "::", port);
	int fd = socket(a.storage.ss_family, SOCK_STREAM, options.mptcp ? IPPROTO_MPTCP : 0);
	pthread_attr_t attributes;

	if (fd < 0)
		die("socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
	if (options.fastopen)
		set(fd, IPPROTO_TCP, TCP_FASTOPEN, 64, "TCP_FASTOPEN");
	if (bind(fd, (struct sockaddr *)&a.storage, a.length) != 0 || listen(fd, options.backlog) != 0)
		die("listen");
	if (options.serve_in)
		move_to(options.serve_in);
	if (options.accept_later)
		await_line(1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (;;) {
		pthread_t thread;
		int client = accept(fd, NULL, NULL);

		if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client < 0)
			die("accept");
		if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)client) != 0)
			die("thread");
	}
}

/* ---- dial */

static struct {
	pthread_mutex_t lock;
	struct address to;
	int started, opened, failed, broken;
	uint64_t sent, received;
	uint64_t opening_ns, lasting_ns; /* until connect() returned, and until the end, of those that opened */
	int last_error;
} dialled = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int prepare(void)
{
	int family = dialled.to.storage.ss_family;
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	if (options.local_port || options.from) {
		char port[16];
		const char *any = family == AF_INET ? "0.0.0.0" : "::";

		snprintf(port, sizeof(port), "%d", options.local_port);
		struct address own = parse_address(options.from ? options.from : any, port);

		set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
		if (bind(fd, (struct sockaddr *)&own.storage, own.length) != 0)
			die("bind");
	}
	if (options.mss)
		set(fd, IPPROTO_TCP, TCP_MAXSEG, options.mss, "TCP_MAXSEG");
	if (options.timeout_ms) {
		struct timeval limit = {options.timeout_ms / 1000, options.timeout_ms % 1000 * 1000};

		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	return fd;
}

static int open_connection(struct connection *c)
{
	const struct sockaddr *to = (const struct sockaddr *)&dialled.to.storage;

	if (!options.fastopen)
		return connect(c->fd, to, dialled.to.length) == 0 ? 0 : errno;
	char *data = calloc(1, options.fastopen);
	ssize_t n = sendto(c->fd, data, options.fastopen, MSG_FASTOPEN | MSG_NOSIGNAL, to, dialled.to.length);

	free(data);
	if (n < 0)
		return errno;
	c->sent += n;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void dial_once(void)
{
	struct connection c = {.fd = prepare(), .open = true};
	struct address own = {.length = sizeof(own.storage)};
	uint64_t begun = now_ns();
	int refused = open_connection(&c);
	uint64_t opened = now_ns();

	if (refused == 0) {
		getsockname(c.fd, (struct sockaddr *)&own.storage, &own.length);
		run_steps(&c, options.steps);
	} else {
		close(c.fd);
	}
	pthread_mutex_lock(&dialled.lock);
	dialled.opened += refused == 0;
	dialled.failed += refused != 0;
	dialled.broken += c.error != 0;
	dialled.last_error = refused ? refused : c.error ? c.error : dialled.last_error;
	if (refused == 0) {
		dialled.opening_ns += opened - begun;
		dialled.lasting_ns += now_ns() - begun;
	}
	dialled.sent += c.sent;
	dialled.received += c.received;
	pthread_mutex_unlock(&dialled.lock);
	if (options.each)
		print_json("{\"localPort\":%d,\"sent\":%lu,\"received\":%lu,\"error\":\"%s\"}", port_of(&own), c.sent,
			   c.received, error_name(refused ? refused : c.error));
}

static void *dial_many(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&dialled.lock);
		bool more = dialled.started < options.count;

		dialled.started += more;
		pthread_mutex_unlock(&dialled.lock);
		if (!more)
			return NULL;
		dial_once();
	}
}

static void dial(const char *address, const char *port)
{
	pthread_t *threads = calloc(options.concurrent, sizeof(*threads));

	dialled.to = parse_address(address, port);
	for (int i = 0; i < options.concurrent; i++)
		if (pthread_create(&threads[i], NULL, dial_many, NULL) != 0)
			die("thread");
	for (int i = 0; i < options.concurrent; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	print_json("{\"opened\":%d,\"failed\":%d,\"broken\":%d,\"sent\":%lu,\"received\":%lu,\"openingNs\":%lu,"
		   "\"lastingNs\":%lu,\"lastError\":\"%s\"}",
		   dialled.opened, dialled.failed, dialled.broken, dialled.sent, dialled.received, dialled.opening_ns,
		   dialled.lasting_ns, error_name(dialled.last_error));
}

static void parse_options(int argc, char **argv)
{
	enum { ON, FROM, SERVE_IN, BACKLOG, COUNT, CONCURRENT, LOCAL_PORT, FASTOPEN, MSS, TIMEOUT, MPTCP, LATER, EACH };
	static const struct option known[] = {
	    {"on", 1, 0, ON},	      {"from", 1, 0, FROM},	    {"serve-in", 1, 0, SERVE_IN},
	    {"backlog", 1, 0, BACKLOG}, {"count", 1, 0, COUNT},     {"concurrent", 1, 0, CONCURRENT},
	    {"local-port", 1, 0, LOCAL_PORT}, {"fastopen", 1, 0, FASTOPEN}, {"mss", 1, 0, MSS},
	    {"timeout", 1, 0, TIMEOUT}, {"mptcp", 0, 0, MPTCP},	    {"accept-later", 0, 0, LATER},
	    {"each", 0, 0, EACH},	      {0}};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case ON: options.on = optarg; break;
		case FROM: options.from = optarg; break;
		case SERVE_IN: options.serve_in = optarg; break;
		case BACKLOG: options.backlog = atoi(optarg); break;
		case COUNT: options.count = atoi(optarg); break;
		case CONCURRENT: options.concurrent = atoi(optarg); break;
		case LOCAL_PORT: options.local_port = atoi(optarg); break;
		case FASTOPEN: options.fastopen = atoi(optarg); break;
		case MSS: options.mss = atoi(optarg); break;
		case TIMEOUT: options.timeout_ms = atoi(optarg); break;
		case MPTCP: options.mptcp = true; break;
		case LATER: options.accept_later = true; break;
		case EACH: options.each = true; break;
		default: exit(2);
		}
	}
	options.steps = argv + optind;
}

int main(int argc, char **argv)
{
	struct rlimit files = {20000, 20000};

	setrlimit(RLIMIT_NOFILE, &files);
	if (argc >= 3 && strcmp(argv[1], "listen") == 0) {
		parse_options(argc - 2, argv + 2);
		listen_on(argv[2]);
	} else if (argc >= 4 && strcmp(argv[1], "dial") == 0) {
		parse_options(argc - 3, argv + 3);
		dial(argv[2], argv[3]);
	} else {
		fprintf(stderr, "peer listen PORT … | peer dial ADDRESS PORT …\n");
		return 2;
	}
	return 0;
}
