/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Whose socket is it: the cgroup it was created in, and the program that dialled or listened with it. */
#ifndef SKYBRAID_OWNER_H
#define SKYBRAID_OWNER_H

#include "base.h"

/* Kernels before 6.1 keep the ancestors' ids instead of pointers. */
struct cgroup___ids {
	u64 ancestor_ids[1];
} __attribute__((preserve_access_index));

struct sb_owner {
	__u32 tgid;
	char comm[SB_COMM_LEN];
};

SB_INLINE __u64 sb_cgroup_id(const struct sock *sk)
{
	return sk->sk_cgrp_data.cgroup->kn->id;
}

SB_INLINE __u32 sb_netns(const struct sock *sk)
{
	return sk->__sk_common.skc_net.net->ns.inum;
}

SB_INLINE __u64 sb_ancestor_id(const struct cgroup *cgroup, __u32 level)
{
	__u64 base = (__u64)cgroup;
	__u64 id = 0;

	if (bpf_core_field_exists(struct cgroup___ids, ancestor_ids)) {
		__u64 at = base + bpf_core_field_offset(struct cgroup___ids, ancestor_ids) + level * sizeof(__u64);

		bpf_probe_read_kernel(&id, sizeof(id), (void *)at);
	} else {
		struct cgroup *ancestor = NULL;
		__u64 at = base + bpf_core_field_offset(struct cgroup, ancestors) + level * sizeof(ancestor);

		bpf_probe_read_kernel(&ancestor, sizeof(ancestor), (void *)at);
		id = BPF_CORE_READ(ancestor, kn, id);
	}
	return id;
}

/* Was the socket created inside the subtree that this collector observes? */
SB_INLINE bool sb_in_scope(const struct sock *sk)
{
	struct cgroup *cgroup;

	if (sb_scope_level == 0)
		return true;
	cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	if (cgroup && (__u32)BPF_CORE_READ(cgroup, level) >= sb_scope_level &&
	    sb_ancestor_id(cgroup, sb_scope_level) == sb_scope_cgroup)
		return true;
	sb_count(SB_C_FOREIGN);
	return false;
}

/* The thread group's id as the collector's pid namespace has it; 0 if it has none there. */
SB_INLINE __u32 sb_tgid_of(struct task_struct *task)
{
	struct pid *pid;
	__u32 level;

	if (sb_pid_ns == SB_INIT_PID_NS)
		return task->tgid;
	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	level = BPF_CORE_READ(pid, level);
	for (__u32 i = 0; i < SB_MAX_PID_LEVELS; i++) {
		struct upid upid = {};

		if (i > level)
			break;
		bpf_core_read(&upid, sizeof(upid), &pid->numbers[i]);
		if (BPF_CORE_READ(upid.ns, ns.inum) == sb_pid_ns)
			return upid.nr;
	}
	return 0;
}

/* Kernel threads dial on behalf of others (MPTCP subflows, network file systems): they own nothing. */
SB_INLINE void sb_owner_of(struct task_struct *task, struct sb_owner *owner)
{
	__builtin_memset(owner, 0, sizeof(*owner));
	if (task->flags & SB_PF_KTHREAD)
		return;
	owner->tgid = sb_tgid_of(task);
	if (owner->tgid)
		bpf_probe_read_kernel(owner->comm, sizeof(owner->comm), task->group_leader->comm);
}

/*
 * Does the task run in another network namespace or cgroup than the socket was made in? Then the socket came from
 * another program, and its cgroup and namespace may disagree about who owns it.
 */
SB_INLINE bool sb_is_inherited(struct task_struct *task, const struct sock *sk)
{
	if (task->flags & SB_PF_KTHREAD)
		return false;
	return task->nsproxy->net_ns != sk->__sk_common.skc_net.net || task->cgroups->dfl_cgrp != sk->sk_cgrp_data.cgroup;
}

#endif
