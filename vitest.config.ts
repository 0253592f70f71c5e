import { defineConfig } from 'vitest/config'

// Units run anywhere. Kernel, lab and end-to-end tests need root and BTF, share one kernel, and so run one file at a time.
const resolve = { conditions: ['source'] }
const ssr = { resolve: { conditions: ['source', 'node'] } }

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'test/{checks,chart,fuzz,runner}/**/*.test.ts',
            'test/fault/world/**/*.test.ts',
            'test/kube/cluster/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
          // property tests on a small machine that also does other work
          testTimeout: 30_000,
        },
      },
      {
        resolve,
        ssr,
        // need a nats-server, or Python, and no root; each file starts its own on free ports
        test: {
          name: 'bus',
          include: ['test/{nats,otlp}/**/*.test.ts', 'test/fault/scenarios/**/*.test.ts'],
          // most of the time they wait
          maxWorkers: 3,
          // what is awaited bounds itself; these are for what hangs elsewhere
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        resolve,
        ssr,
        // need the jars of OAP and Java; those that need the lab too say so
        test: {
          name: 'oap',
          include: ['test/oap/**/*.test.ts'],
          fileParallelism: false,
          // what is awaited bounds itself; these are for what hangs elsewhere
          testTimeout: 900_000,
          hookTimeout: 600_000,
        },
      },
      {
        resolve,
        ssr,
        // need etcd and kube-apiserver and no root; each file starts its own on free ports
        test: {
          name: 'kube-api',
          include: ['test/kube-api/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        resolve,
        ssr,
        // need root and the programs of Kubernetes; each file starts the cluster and takes it down
        test: {
          name: 'kube',
          include: ['test/kube/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'lab',
          include: [
            'bpf/tests/**/*.test.ts',
            'native/test/**/*.test.ts',
            'test/lab/**/*.test.ts',
            'test/e2e/**/*.test.ts',
            'test/fault/*.test.ts',
            'test/vm/**/*.test.ts',
          ],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
