/*
 * UDP ends. Prints one JSON object at the end (client) or for every line of standard input (server).
 *
 *   datagram echo PORT [--on ADDRESS]
 *   datagram talk COUNT SIZE [--local-port P] [--connected] [--gso SEGMENTS] [--wait-lines] -- ADDRESS PORT [ADDRESS PORT]…
 *
 * The client sends one datagram to each address in turn from one socket and waits for its answer before the next, so
 * that what it counts is what both ends must have seen. With --wait-lines it stops for a line before each round.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static struct {
	uint64_t sent, received, bytes_sent, bytes_received, unanswered;
} totals;

static void die(const char *what)
{
	fprintf(stderr, "datagram: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void report(void)
{
	printf("{\"sent\":%lu,\"received\":%lu,\"bytesSent\":%lu,\"bytesReceived\":%lu,\"unanswered\":%lu}\n",
	       totals.sent, totals.received, totals.bytes_sent, totals.bytes_received, totals.unanswered);
	fflush(stdout);
}

static socklen_t parse_address(const char *text, int port, struct sockaddr_in6 *out)
{
	char mapped[64];

	*out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	snprintf(mapped, sizeof(mapped), strchr(text, ':') ? "%s" : "::ffff:%s", text);
	if (inet_pton(AF_INET6, mapped, &out->sin6_addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	return sizeof(*out);
}

/* IPv4 goes through an IPv4 socket: a v4-mapped one is a case of its own, asked for by --on ::. */
static int open_socket(bool v4, const char *address, int port)
{
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0), result;

	if (fd < 0)
		die("socket");
	if (!address && port == 0)
		return fd;
	if (v4) {
		struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};

		if (address)
			inet_pton(AF_INET, address, &own.sin_addr);
		result = bind(fd, (struct sockaddr *)&own, sizeof(own));
	} else {
		struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

		if (address)
			inet_pton(AF_INET6, address, &own.sin6_addr);
		result = bind(fd, (struct sockaddr *)&own, sizeof(own));
	}
	if (result != 0)
		die("bind");
	return fd;
}

static void echo(int fd)
{
	static char buffer[65536];

	for (;;) {
		struct pollfd ready[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);

		if (poll(ready, 2, -1) < 0)
			die("poll");
		if (ready[1].revents) {
			if (read(0, buffer, sizeof(buffer)) <= 0)
				return;
			report();
		}
		if (!(ready[0].revents & POLLIN))
			continue;
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

		if (n < 0)
			continue;
		totals.received++;
		totals.bytes_received += n;
		if (sendto(fd, buffer, n, 0, (struct sockaddr *)&from, length) == n) {
			totals.sent++;
			totals.bytes_sent += n;
		}
	}
}

struct target {
	struct sockaddr_storage address;
	socklen_t length;
};

static struct target make_target(const char *address, int port)
{
	struct target t = {0};

	if (strchr(address, ':')) {
		t.length = parse_address(address, port, (struct sockaddr_in6 *)&t.address);
	} else {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&t.address;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		inet_pton(AF_INET, address, &v4->sin_addr);
		t.length = sizeof(*v4);
	}
	return t;
}

static void receive_answers(int fd, int expected)
{
	static char buffer[65536];

	while (expected-- > 0) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};

		if (poll(&ready, 1, 1000) <= 0) {
			totals.unanswered += expected + 1;
			return;
		}
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n < 0) {
			totals.unanswered++;
			continue;
		}
		totals.received++;
		totals.bytes_received += n;
	}
}

static void talk(int count, int size, int local_port, bool connected, int segments, bool lines, char **list, int listed)
{
	struct target targets[16];
	int number = 0, each = segments ? segments : 1;
	char *data = calloc(each, size);

	for (; number * 2 + 1 < listed && number < 16; number++)
		targets[number] = make_target(list[number * 2], atoi(list[number * 2 + 1]));
	if (number == 0) {
		fprintf(stderr, "datagram talk: no address\n");
		exit(2);
	}
	int fd = open_socket(targets[0].address.ss_family == AF_INET, NULL, local_port);

	if (connected && connect(fd, (struct sockaddr *)&targets[0].address, targets[0].length) != 0)
		die("connect");
	if (segments && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) != 0)
		die("UDP_SEGMENT");
	for (int round = 0; round < count; round++) {
		if (lines && !fgets((char[64]){0}, 64, stdin))
			break;
		for (int i = 0; i < number; i++) {
			struct sockaddr *to = connected ? NULL : (struct sockaddr *)&targets[i].address;
			ssize_t n = sendto(fd, data, (size_t)size * each, 0, to, to ? targets[i].length : 0);

			if (n < 0)
				continue;
			totals.sent += each;
			totals.bytes_sent += n;
			receive_answers(fd, each);
		}
		if (lines)
			report();
	}
	if (!lines)
		report();
	free(data);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"on", 1, 0, 'o'},	{"local-port", 1, 0, 'p'}, {"connected", 0, 0, 'c'},
					      {"gso", 1, 0, 'g'}, {"wait-lines", 0, 0, 'w'}, {0}};
	const char *on = NULL;
	int local_port = 0, segments = 0, option;
	bool connected = false, lines = false;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'o': on = optarg; break;
		case 'p': local_port = atoi(optarg); break;
		case 'c': connected = true; break;
		case 'g': segments = atoi(optarg); break;
		case 'w': lines = true; break;
		default: return 2;
		}
	}
	argv += optind;
	argc -= optind;
	if (argc == 2 && strcmp(argv[0], "echo") == 0)
		echo(open_socket(on && !strchr(on, ':'), on, atoi(argv[1])));
	else if (argc >= 5 && strcmp(argv[0], "talk") == 0)
		talk(atoi(argv[1]), atoi(argv[2]), local_port, connected, segments, lines, argv + 3, argc - 3);
	else
		return 2;
	return 0;
}
