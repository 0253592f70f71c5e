import { expect, it } from 'vitest'
import { hierarchiesIn } from './hierarchies.ts'

it('finds every whole hierarchy once, with what mounts it again', () => {
  const text = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
42 31 0:38 /part /mnt/part rw,relatime - cgroup2 cgroup2 rw
`
  expect(hierarchiesIn(text)).toEqual([
    { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', controllers: 'cpu,cpuacct', isCgroup2: false },
    { mountPoint: '/sys/fs/cgroup/systemd', controllers: 'none,name=systemd', isCgroup2: false },
    { mountPoint: '/sys/fs/cgroup/unified', controllers: '', isCgroup2: true },
  ])
})
