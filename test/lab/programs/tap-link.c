/*
 * A link between two network namespaces as a virtual machine's paravirtual card makes it: two tap devices with
 * virtio-net headers, large segments handed over whole. The header carries a segment size but no count, so the
 * receiving end counts one segment where the sender counted many.
 *
 *   tap-link NETNS_A NETNS_B [--delay MS] [--plain]
 *
 * Makes tap0 in both, prints {"said":"ready"} and forwards until it is killed. With --delay every frame is held for so
 * long, in both directions. With --plain no offload is announced: frames are single segments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME (70 * 1024)

struct held {
	struct held *next;
	uint64_t due_ns;
	int to;
	ssize_t length;
	char bytes[];
};

static struct held *first, **last = &first;

static void die(const char *what)
{
	fprintf(stderr, "tap-link: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int open_tap(const char *netns, bool plain)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int ns = open(netns, O_RDONLY | O_CLOEXEC), tap;
	int header = sizeof(struct virtio_net_hdr_v1);

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		die(netns);
	close(ns);
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap < 0)
		die("/dev/net/tun");
	strcpy(request.ifr_name, "tap0");
	if (ioctl(tap, TUNSETIFF, &request) != 0)
		die("TUNSETIFF");
	if (ioctl(tap, TUNSETVNETHDRSZ, &header) != 0)
		die("TUNSETVNETHDRSZ");
	if (ioctl(tap, TUNSETOFFLOAD, plain ? 0 : TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)
		die("TUNSETOFFLOAD");
	return tap;
}

static void deliver(int to, const char *frame, ssize_t length)
{
	/* a full receive queue drops the frame, as a real card would */
	if (write(to, frame, length) < 0 && errno != EAGAIN && errno != EIO && errno != EINVAL)
		die("write");
}

static void forward(int from, int to, uint64_t delay_ns)
{
	static char frame[FRAME];

	for (int i = 0; i < 64; i++) {
		ssize_t length = read(from, frame, sizeof(frame));

		if (length <= 0)
			return;
		if (delay_ns == 0) {
			deliver(to, frame, length);
			continue;
		}
		struct held *held = malloc(sizeof(*held) + length);

		*held = (struct held){.due_ns = now_ns() + delay_ns, .to = to, .length = length};
		memcpy(held->bytes, frame, length);
		*last = held;
		last = &held->next;
	}
}

/* Delivers what is due; returns how long to wait for the next, -1 for ever. */
static int release(void)
{
	while (first && first->due_ns <= now_ns()) {
		struct held *held = first;

		first = held->next;
		if (!first)
			last = &first;
		deliver(held->to, held->bytes, held->length);
		free(held);
	}
	return first ? (int)((first->due_ns - now_ns()) / 1000000) + 1 : -1;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"delay", 1, 0, 'd'}, {"plain", 0, 0, 'p'}, {0}};
	uint64_t delay_ns = 0;
	bool plain = false;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'd')
			delay_ns = strtoull(optarg, NULL, 10) * 1000000;
		else if (option == 'p')
			plain = true;
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	int a = open_tap(argv[optind], plain), b = open_tap(argv[optind + 1], plain);

	printf("{\"said\":\"ready\"}\n");
	fflush(stdout);
	for (;;) {
		struct pollfd ready[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

		if (poll(ready, 2, release()) < 0 && errno != EINTR)
			die("poll");
		forward(a, b, delay_ns);
		forward(b, a, delay_ns);
	}
}
