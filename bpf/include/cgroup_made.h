/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The path of each cgroup when it is made. User space can ask for a path by id only while the cgroup exists; a
 * container may be gone by the time its last connection is read.
 */
#ifndef SKYBRAID_CGROUP_MADE_H
#define SKYBRAID_CGROUP_MADE_H

#include "owner.h"

SB_INLINE void sb_on_cgroup_made(struct cgroup *cgroup, const char *path)
{
	struct sb_cgroup_row *row;
	long length;

	/* Version 1 hierarchies number their cgroups anew; version 2 is hierarchy 0. */
	if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0)
		return;
	if ((__u32)BPF_CORE_READ(cgroup, level) < sb_scope_level ||
	    (sb_scope_level && sb_ancestor_id(cgroup, sb_scope_level) != sb_scope_cgroup))
		return;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	__builtin_memset(&row->head, 0, sizeof(row->head));
	row->head.version = SB_ROW_VERSION;
	row->head.kind = SB_ROW_CGROUP;
	row->head.cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	row->head.read_ns = bpf_ktime_get_ns();
	row->pad = 0;
	length = bpf_probe_read_kernel_str(row->path, sizeof(row->path), path);
	/* Both with the closing zero; a path that fills the row may have been cut. */
	row->length = length > 0 && length < (long)sizeof(row->path) ? length - 1 : 0;
	sb_row_submit(row);
}

#endif
