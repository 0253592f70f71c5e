/* Every way in which a program moves bytes through a socket: the kernel's counters must not care which. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<liburing.h>)
#include <liburing.h>
#define HAVE_URING 1
#endif

#include "peer.h"

#define CHUNK (256 * 1024)

static char payload[CHUNK];

static uint64_t at_most(uint64_t left, uint64_t limit)
{
	return left < limit ? left : limit;
}

int send_written(struct connection *c, uint64_t bytes)
{
	while (bytes > 0) {
		ssize_t n = send(c->fd, payload, at_most(bytes, CHUNK), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		c->sent += n;
		bytes -= n;
	}
	return 0;
}

static int content(void)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, CHUNK) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int send_file(struct connection *c, uint64_t bytes)
{
	int file = content(), result = 0;

	if (file < 0)
		return errno;
	while (bytes > 0) {
		off_t offset = 0;
		ssize_t n = sendfile(c->fd, file, &offset, at_most(bytes, CHUNK));

		if (n < 0) {
			result = errno;
			break;
		}
		c->sent += n;
		bytes -= n;
	}
	close(file);
	return result;
}

/* Moves up to `bytes` between two descriptors through a pipe; returns what arrived, -1 on error, 0 at the end. */
static ssize_t through_pipe(int from, loff_t *offset, int to, const int *pipe, uint64_t bytes)
{
	ssize_t in = splice(from, offset, pipe[1], NULL, bytes, SPLICE_F_MOVE);
	ssize_t left = in;

	while (left > 0) {
		ssize_t out = splice(pipe[0], NULL, to, NULL, left, SPLICE_F_MOVE);

		if (out <= 0)
			return -1;
		left -= out;
	}
	return in;
}

int send_spliced(struct connection *c, uint64_t bytes)
{
	int file = content(), ends[2], result = 0;

	if (file < 0 || pipe(ends) != 0)
		return errno;
	while (bytes > 0) {
		loff_t offset = 0;
		ssize_t n = through_pipe(file, &offset, c->fd, ends, at_most(bytes, 65536));

		if (n <= 0) {
			result = errno;
			break;
		}
		c->sent += n;
		bytes -= n;
	}
	close(ends[0]);
	close(ends[1]);
	close(file);
	return result;
}

int receive_spliced(struct connection *c, uint64_t bytes)
{
	int null = open("/dev/null", O_WRONLY), ends[2], result = 0;

	if (null < 0 || pipe(ends) != 0)
		return errno;
	while (bytes > 0) {
		ssize_t n = through_pipe(c->fd, NULL, null, ends, at_most(bytes, 65536));

		if (n < 0)
			result = errno;
		if (n <= 0)
			break;
		c->received += n;
		bytes -= n;
	}
	close(ends[0]);
	close(ends[1]);
	close(null);
	return result;
}

int receive_read(struct connection *c, uint64_t bytes)
{
	char *buffer = malloc(CHUNK);
	int result = 0;

	while (bytes > 0) {
		ssize_t n = recv(c->fd, buffer, at_most(bytes, CHUNK), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = errno;
		if (n <= 0)
			break;
		c->received += n;
		bytes -= n;
	}
	free(buffer);
	return result;
}

int echo_all(struct connection *c)
{
	char *buffer = malloc(CHUNK);
	int result = 0;

	for (;;) {
		ssize_t n = recv(c->fd, buffer, CHUNK, 0), done = 0;

		if (n < 0)
			result = errno;
		if (n <= 0)
			break;
		c->received += n;
		while (done < n) {
			ssize_t out = send(c->fd, buffer + done, n - done, MSG_NOSIGNAL);

			if (out < 0) {
				result = errno;
				goto end;
			}
			c->sent += out;
			done += out;
		}
	}
end:
	free(buffer);
	return result;
}

#ifdef HAVE_URING
static int through_uring(struct connection *c, uint64_t bytes, bool sending)
{
	struct io_uring ring;
	char *buffer = malloc(CHUNK);
	int result = -io_uring_queue_init(8, &ring, 0);

	if (result != 0) {
		free(buffer);
		return result;
	}
	while (bytes > 0) {
		struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
		struct io_uring_cqe *done;

		if (sending)
			io_uring_prep_send(entry, c->fd, payload, at_most(bytes, CHUNK), MSG_NOSIGNAL);
		else
			io_uring_prep_recv(entry, c->fd, buffer, at_most(bytes, CHUNK), 0);
		io_uring_submit(&ring);
		result = -io_uring_wait_cqe(&ring, &done);
		if (result != 0)
			break;
		result = done->res < 0 ? -done->res : 0;
		if (done->res > 0) {
			*(sending ? &c->sent : &c->received) += done->res;
			bytes -= done->res;
		}
		bool ended = done->res <= 0;

		io_uring_cqe_seen(&ring, done);
		if (ended)
			break;
	}
	io_uring_queue_exit(&ring);
	free(buffer);
	return result;
}
#else
static int through_uring(struct connection *c, uint64_t bytes, bool sending)
{
	(void)c, (void)bytes, (void)sending;
	return ENOSYS;
}
#endif

int send_uring(struct connection *c, uint64_t bytes)
{
	return through_uring(c, bytes, true);
}

int receive_uring(struct connection *c, uint64_t bytes)
{
	return through_uring(c, bytes, false);
}

struct share {
	struct connection view;
	uint64_t bytes;
	int result;
};

static void *send_share(void *argument)
{
	struct share *share = argument;

	share->result = send_written(&share->view, share->bytes);
	return NULL;
}

int send_threads(struct connection *c, uint64_t bytes)
{
	enum { COUNT = 4 };
	struct share shares[COUNT];
	pthread_t threads[COUNT];
	int result = 0;

	for (int i = 0; i < COUNT; i++) {
		shares[i] = (struct share){.view = {.fd = c->fd}, .bytes = bytes / COUNT};
		if (i == 0)
			shares[i].bytes += bytes % COUNT;
		pthread_create(&threads[i], NULL, send_share, &shares[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		pthread_join(threads[i], NULL);
		c->sent += shares[i].view.sent;
		if (shares[i].result != 0)
			result = shares[i].result;
	}
	return result;
}

int send_forked(struct connection *c, uint64_t bytes)
{
	pid_t child = fork();
	int status, result;

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(send_written(c, bytes / 2));
	result = send_written(c, bytes - bytes / 2);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (result == 0)
		result = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	if (result == 0)
		c->sent += bytes / 2;
	return result;
}
