// SPDX-License-Identifier: Apache-2.0
/*
 * Does with sockets what it is told, one command a line on stdin, one JSON object a line as the answer. The tests
 * drive one such program per end, so that each step happens when it should and both ends' own counts are at hand.
 * Sockets have names. A command that takes too long fails with ETIMEDOUT or EAGAIN.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define WAIT_MS 20000
#define MAX_SOCKETS 4096

static struct {
	char name[16];
	int fd;
} sockets[MAX_SOCKETS];
static char chunk[1 << 16];

static int *slot(const char *name)
{
	int free_at = -1;

	for (int i = 0; i < MAX_SOCKETS; i++) {
		if (strcmp(sockets[i].name, name) == 0)
			return &sockets[i].fd;
		if (free_at < 0 && !sockets[i].name[0])
			free_at = i;
	}
	snprintf(sockets[free_at].name, sizeof(sockets[free_at].name), "%s", name);
	sockets[free_at].fd = -1;
	return &sockets[free_at].fd;
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	inet_pton(AF_INET6, text, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

static int open_socket(const char *name, int type, int family)
{
	int fd = socket(family == 6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	struct timeval wait = {.tv_sec = WAIT_MS / 1000};
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	*slot(name) = fd;
	return fd < 0 ? -1 : 0;
}

static long long send_bytes(int fd, long long count)
{
	long long done = 0;

	while (done < count) {
		size_t part = count - done < (long long)sizeof(chunk) ? (size_t)(count - done) : sizeof(chunk);
		ssize_t sent = send(fd, chunk, part, MSG_NOSIGNAL);

		if (sent < 0)
			return done ? done : -1;
		done += sent;
	}
	return done;
}

/* Until `count` bytes have come, or the end of the stream; -1 is everything. */
static long long receive_bytes(int fd, long long count)
{
	long long done = 0;

	while (count < 0 || done < count) {
		size_t part = count >= 0 && count - done < (long long)sizeof(chunk) ? (size_t)(count - done) : sizeof(chunk);
		ssize_t got = recv(fd, chunk, part, 0);

		if (got < 0)
			return done ? done : -1;
		if (got == 0)
			break;
		done += got;
	}
	return done;
}

static void print_info(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	printf(",\"bytesAcked\":%llu,\"bytesReceived\":%llu,\"bytesSent\":%llu,\"bytesRetrans\":%llu,\"totalRetrans\":%u,"
	       "\"segmentsOut\":%u,\"segmentsIn\":%u,\"dataSegmentsOut\":%u,\"dataSegmentsIn\":%u,\"state\":%u",
	       (unsigned long long)info.tcpi_bytes_acked, (unsigned long long)info.tcpi_bytes_received,
	       (unsigned long long)info.tcpi_bytes_sent, (unsigned long long)info.tcpi_bytes_retrans,
	       info.tcpi_total_retrans, info.tcpi_segs_out, info.tcpi_segs_in, info.tcpi_data_segs_out,
	       info.tcpi_data_segs_in, info.tcpi_state);
}

static int local_port(int fd)
{
	struct sockaddr_storage at = {0};
	socklen_t length = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &length))
		return 0;
	return ntohs(((struct sockaddr_in *)&at)->sin_port);
}

static void set_linger(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Dials without waiting, on one CPU, until all have failed or the time is up. Returns how many have; they stay open. */
static int strand(const char *host, int port, int count, int ms)
{
	static struct pollfd dials[MAX_SOCKETS];
	struct sockaddr_storage to;
	socklen_t length = address(host, port, &to);
	int failed = 0;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (count > MAX_SOCKETS)
		count = MAX_SOCKETS;
	for (int i = 0; i < count; i++) {
		dials[i].fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		dials[i].events = POLLERR;
		connect(dials[i].fd, (struct sockaddr *)&to, length);
	}
	for (; failed < count && ms > 0; ms -= 50) {
		poll(NULL, 0, 50);
		poll(dials, count, 0);
		failed = 0;
		for (int i = 0; i < count; i++)
			failed += (dials[i].revents & POLLERR) != 0;
	}
	return failed;
}

/* Opens, uses and closes one connection after another: `count` times `bytes`. Returns how many went well. */
static long long burst(const char *to, int port, int count, long long bytes)
{
	struct sockaddr_storage at;
	socklen_t length = address(to, port, &at);
	long long well = 0;

	for (int i = 0; i < count; i++) {
		int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&at, length) == 0 && send_bytes(fd, bytes) == bytes &&
		    shutdown(fd, SHUT_WR) == 0 && receive_bytes(fd, -1) == bytes)
			well++;
		close(fd);
	}
	return well;
}

/* Accepts `count` connections, one after the other, and sends back what comes. */
static long long echo(int listener, int count)
{
	long long well = 0;

	for (int i = 0; i < count; i++) {
		int fd = accept(listener, NULL, NULL);
		long long total = 0;
		ssize_t got;

		if (fd < 0)
			break;
		while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
			total += got;
		if (send_bytes(fd, total) == total)
			well++;
		close(fd);
	}
	return well;
}

/* One datagram of `size` bytes to each of `count` addresses of the loopback network. */
static long long spray(int fd, int count, int size)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	long long sent = 0;

	for (int i = 0; i < count; i++) {
		to.sin_addr.s_addr = htonl(0x7f100000 + i);
		/* A refusal of an earlier one may be reported first. */
		for (int attempt = 0; attempt < 3; attempt++) {
			if (sendto(fd, chunk, size, 0, (struct sockaddr *)&to, sizeof(to)) == size) {
				sent++;
				break;
			}
		}
	}
	return sent;
}

static long long run(int argc, char **argv)
{
	const char *verb = argv[0];
	const char *name = argc > 1 ? argv[1] : "";
	const char *a = argc > 2 ? argv[2] : "0";
	const char *b = argc > 3 ? argv[3] : "0";
	const char *c = argc > 4 ? argv[4] : "0";
	int fd = *slot(name);
	struct sockaddr_storage at;
	int value = 1;

	if (!strcmp(verb, "tcp"))
		return open_socket(name, SOCK_STREAM, atoi(a));
	if (!strcmp(verb, "udp"))
		return open_socket(name, SOCK_DGRAM, atoi(a));
	if (!strcmp(verb, "mptcp")) {
		*slot(name) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
		return *slot(name) < 0 ? -1 : 0;
	}
	if (!strcmp(verb, "bind")) {
		socklen_t length = address(a, atoi(b), &at);
		return bind(fd, (struct sockaddr *)&at, length);
	}
	if (!strcmp(verb, "listen"))
		return listen(fd, atoi(a));
	if (!strcmp(verb, "accept")) {
		int from = *slot(a);
		int child = accept(from, NULL, NULL);

		*slot(name) = child;
		return child < 0 ? -1 : 0;
	}
	if (!strcmp(verb, "connect")) {
		socklen_t length = address(a, atoi(b), &at);
		return connect(fd, (struct sockaddr *)&at, length);
	}
	if (!strcmp(verb, "nonblock"))
		return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (!strcmp(verb, "fastopen-listen")) {
		value = 16;
		return setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &value, sizeof(value));
	}
	if (!strcmp(verb, "fastopen-send")) {
		socklen_t length = address(a, atoi(b), &at);
		return sendto(fd, chunk, atoi(c), MSG_FASTOPEN, (struct sockaddr *)&at, length);
	}
	if (!strcmp(verb, "send"))
		return send_bytes(fd, atoll(a));
	if (!strcmp(verb, "receive"))
		return receive_bytes(fd, atoll(a));
	if (!strcmp(verb, "sendfile")) {
		int file = open(a, O_RDONLY);
		long long total = 0;
		ssize_t sent;

		while ((sent = sendfile(fd, file, NULL, 1 << 20)) > 0)
			total += sent;
		close(file);
		return total;
	}
	if (!strcmp(verb, "sendto")) {
		socklen_t length = address(a, atoi(b), &at);
		return sendto(fd, chunk, atoi(c), 0, (struct sockaddr *)&at, length);
	}
	if (!strcmp(verb, "reply")) { /* answers the datagram that comes next with so many bytes */
		socklen_t length = sizeof(at);

		if (recvfrom(fd, chunk, sizeof(chunk), 0, (struct sockaddr *)&at, &length) < 0)
			return -1;
		return sendto(fd, chunk, atoi(a), 0, (struct sockaddr *)&at, length);
	}
	if (!strcmp(verb, "spray"))
		return spray(fd, atoi(a), atoi(b));
	if (!strcmp(verb, "receive-one"))
		return recv(fd, chunk, sizeof(chunk), 0);
	if (!strcmp(verb, "segment")) { /* UDP GSO */
		value = atoi(a);
		return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, sizeof(value));
	}
	if (!strcmp(verb, "user-timeout")) {
		value = atoi(a);
		return setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof(value));
	}
	if (!strcmp(verb, "syn-retries")) {
		value = atoi(a);
		return setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &value, sizeof(value));
	}
	if (!strcmp(verb, "linger0")) {
		set_linger(fd);
		return 0;
	}
	if (!strcmp(verb, "shut"))
		return shutdown(fd, SHUT_WR);
	if (!strcmp(verb, "close"))
		return close(fd);
	if (!strcmp(verb, "burst")) /* ADDRESS PORT COUNT BYTES */
		return burst(name, atoi(a), atoi(b), atoll(c));
	if (!strcmp(verb, "strand")) /* ADDRESS PORT COUNT MS */
		return strand(name, atoi(a), atoi(b), atoi(c));
	if (!strcmp(verb, "echo"))
		return echo(fd, atoi(a));
	if (!strcmp(verb, "info"))
		return 0;
	if (!strcmp(verb, "wait")) { /* until it is connected; for sockets that don't block */
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		int error = 0;
		socklen_t length = sizeof(error);

		if (poll(&ready, 1, WAIT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
			return -1;
		errno = error;
		return error ? -1 : 0;
	}
	if (!strcmp(verb, "block"))
		return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	errno = ENOSYS;
	return -1;
}

int main(void)
{
	char line[512];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		char *argv[8], *rest = line;
		int argc = 0;
		long long result;

		while (argc < 8 && (argv[argc] = strsep(&rest, " \n")))
			argc += argv[argc][0] != 0;
		if (!argc)
			continue;
		errno = 0;
		result = run(argc, argv);
		printf("{\"result\":%lld,\"errno\":%d", result, result < 0 ? errno : 0);
		if (argc > 1) {
			printf(",\"port\":%d", local_port(*slot(argv[1])));
			if (!strcmp(argv[0], "info"))
				print_info(*slot(argv[1]));
		}
		printf("}\n");
	}
	return 0;
}
