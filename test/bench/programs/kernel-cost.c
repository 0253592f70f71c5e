// SPDX-License-Identifier: Apache-2.0
/*
 * Lets the kernel account run time to programs for as long as it runs; nothing stays switched on when it is killed.
 * With an object and a cgroup it also attaches the object's programs there: the empty ones to compare with.
 *   kernel-cost [OBJECT CGROUP]      prints "ready", waits for the end of its input
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int attach_all(const char *path, const char *cgroup)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	int directory = open(cgroup, O_RDONLY | O_DIRECTORY);

	if (object == NULL || bpf_object__load(object) != 0)
		return fail(path);
	if (directory < 0)
		return fail(cgroup);
	bpf_object__for_each_program(program, object) {
		int packets = strncmp(bpf_program__section_name(program), "cgroup_skb", 10) == 0;
		struct bpf_link *link = packets ? bpf_program__attach_cgroup(program, directory)
						: bpf_program__attach(program);

		if (link == NULL)
			return fail(bpf_program__name(program));
	}
	return 0;
}

int main(int argc, char **argv)
{
	char end;

	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		return fail("bpf_enable_stats");
	if (argc == 3 && attach_all(argv[1], argv[2]) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	return 0;
}
