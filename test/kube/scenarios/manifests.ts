import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../lab/run-command.ts'
import { chart, type Installation } from '../installation.ts'
import { withoutServiceMonitors, withServiceMonitors } from './service-monitors.ts'

const release = 'dry-run'
const collectors = `${release}-collectors`
const valuesFiles = readdirSync(`${chart}/ci`).filter(name => name.endsWith('-values.yaml'))

const namespaceOf = (name: string, level: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: Object.fromEntries(
      ['enforce', 'warn'].map(mode => [`pod-security.kubernetes.io/${mode}`, level] as const),
    ),
  },
})

/** What the API server itself says of everything that the chart can render. */
export function manifests(installed: () => Installation): void {
  describe('manifests', () => {
    beforeAll(async () => {
      const { cluster } = installed()
      await cluster.apply([namespaceOf(release, 'restricted'), namespaceOf(collectors, 'privileged')])
      await withServiceMonitors(cluster)
      // with `-n` kubectl refuses what says another namespace itself
      await cluster.kubectl('config', 'set-context', '--current', `--namespace=${release}`)
    })

    afterAll(async () => {
      const { cluster } = installed()
      await cluster.kubectl('config', 'set-context', '--current', '--namespace=default')
      await cluster.kubectl('delete', 'namespace', release, collectors, '--wait=false')
      await withoutServiceMonitors(cluster)
    })

    it.each(valuesFiles)('are taken by the API server without a warning, with %s', async file => {
      const { cluster } = installed()
      const { gitVersion: version } = JSON.parse(await cluster.kubectl('get', '--raw', '/version'))
      const values = [
        '-f',
        `${chart}/ci/${file}`,
        '--set',
        `global.collectorNamespace.name=${collectors}`,
        '--kube-version',
        version,
      ]
      const input = await cluster.helm('template', release, chart, '-n', release, ...values)
      const flags = ['--dry-run=server', '--validate=strict']
      const { stdout, stderr } = await runCommand(cluster.command('kubectl', 'apply', ...flags, '-f', '-'), {
        env: cluster.env,
        input,
        allowFailure: true, // what is wrong is said below, without the input
      })
      // an object that is there already was not applied by kubectl
      const warnings = stderr
        .split('\n')
        .filter(line => line !== '' && !line.includes('last-applied-configuration'))
      expect(warnings).toEqual([])
      const taken = stdout.split('\n').filter(line => line.includes('(server dry run)'))
      expect(taken.length).toBe(input.split(/^kind: /m).length - 1)
    })

    it('are held to the standard that the namespace asks for', async () => {
      const { cluster } = installed()
      const pod = ['run', 'intruder', '--image=skybraid.local/aggregator:0.1.0', '--dry-run=server']
      const { code, stderr } = await cluster.tryKubectl('-n', 'skybraid', ...pod, '--privileged')
      expect(stderr).toContain('violates PodSecurity "restricted:latest"')
      expect(code).not.toBe(0)
    })
  })
}
