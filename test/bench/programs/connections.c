// SPDX-License-Identifier: Apache-2.0
/*
 * Many TCP connections for the size bench.
 *   connections server PORT                   echoes; closes a connection after an echoed 'q', or when the peer closed
 *   connections hold HOST PORT COUNT          opens COUNT connections, prints "holding", keeps them until input ends
 *   connections churn HOST PORT RATE SECONDS  opens and ends RATE connections a second, prints how many in which time
 * In churn the server closes first: the client's ports are free again at once. It never waits for one connection, so
 * that the rate comes about also where each takes long because others want the processors.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of a churn. */
#define MOST_AT_ONCE 500

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void serve(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event event = {.events = EPOLLIN}, events[256];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&address, sizeof(address)) != 0 || listen(listener, 4096) != 0)
		die("listen");
	event.data.fd = listener;
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int count = epoll_wait(poll, events, 256, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			char data[256];
			ssize_t n;

			if (fd == listener) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					event.data.fd = fd;
					epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
				}
				continue;
			}
			n = read(fd, data, sizeof(data));
			if (n > 0 && write(fd, data, n) == n && data[n - 1] != 'q')
				continue;
			close(fd);
		}
	}
}

static int dial(const char *host, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &address.sin_addr);
	if (fd < 0 || connect(fd, (void *)&address, sizeof(address)) != 0)
		die("connect");
	return fd;
}

static void hold(const char *host, int port, int count)
{
	char end;

	for (int i = 0; i < count; i++)
		dial(host, port);
	puts("holding");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
}

/* Begins one connection of a churn: it is asked for the end as soon as it is there. */
static void begin(const struct sockaddr_in *address, int poll)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};

	if (fd < 0 || (connect(fd, (void *)address, sizeof(*address)) != 0 && errno != EINPROGRESS))
		die("connect");
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

/* True once it is over. */
static bool go_on(const struct epoll_event *ready, int poll)
{
	static char request[100], answer[256];
	int fd = ready->data.fd;
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	ssize_t n;

	if (ready->events & EPOLLOUT) {
		memset(request, 'x', sizeof(request));
		request[sizeof(request) - 1] = 'q';
		if (write(fd, request, sizeof(request)) != sizeof(request))
			die("write");
		epoll_ctl(poll, EPOLL_CTL_MOD, fd, &event);
		return false;
	}
	n = read(fd, answer, sizeof(answer));
	if (n < 0 && errno != EAGAIN)
		die("read");
	if (n != 0)
		return false;
	close(fd);
	return true;
}

static void churn(const char *host, int port, int rate, int seconds)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event events[256];
	int poll = epoll_create1(0), begun = 0, done = 0;
	double from = now();

	inet_pton(AF_INET, host, &address.sin_addr);
	while (done < rate * seconds) {
		int due = (now() - from) * rate, count;

		for (; begun < due && begun < rate * seconds && begun - done < MOST_AT_ONCE; begun++)
			begin(&address, poll);
		count = epoll_wait(poll, events, 256, 1);
		for (int i = 0; i < count; i++)
			done += go_on(&events[i], poll);
	}
	printf("done %d in %.2f\n", done, now() - from);
}

int main(int argc, char **argv)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && strcmp(argv[1], "server") == 0)
		serve(atoi(argv[2]));
	else if (argc == 5 && strcmp(argv[1], "hold") == 0)
		hold(argv[2], atoi(argv[3]), atoi(argv[4]));
	else if (argc == 6 && strcmp(argv[1], "churn") == 0)
		churn(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	else
		return 2;
	return 0;
}
