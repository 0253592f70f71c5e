/* What the parts of the `peer` program share: one connection and the steps it runs. */
#ifndef PEER_H
#define PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct connection {
	int fd;
	unsigned waits;	   /* lines of standard input it has waited for */
	uint64_t sent;	   /* bytes handed to the kernel */
	uint64_t received; /* bytes read */
	int error;	   /* errno that ended it, 0 for none */
	bool open;
};

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* Each returns 0, or an errno; sent and received are advanced by what was done. */
int send_written(struct connection *c, uint64_t bytes);
int send_file(struct connection *c, uint64_t bytes);
int send_spliced(struct connection *c, uint64_t bytes);
int send_uring(struct connection *c, uint64_t bytes);
int send_threads(struct connection *c, uint64_t bytes);
int send_forked(struct connection *c, uint64_t bytes);
int receive_read(struct connection *c, uint64_t bytes);
int receive_spliced(struct connection *c, uint64_t bytes);
int receive_uring(struct connection *c, uint64_t bytes);
int echo_all(struct connection *c);

/* Runs the steps until one fails; the descriptor is closed at the end in any case. */
void run_steps(struct connection *c, char *const *steps);

/* Standard input is a clock of lines: line(n) returns once n lines were read, or at its end. */
void await_line(unsigned n);

struct address parse_address(const char *text, const char *port);
uint16_t port_of(const struct address *a);
void format_address(const struct address *a, char *out, size_t size);
void die(const char *what) __attribute__((noreturn));
void print_json(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *error_name(int error);

#endif
