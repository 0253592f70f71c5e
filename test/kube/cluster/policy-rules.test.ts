import { expect, it } from 'vitest'
import { type Policy, policyRules } from './policy-rules.ts'

const pod = (namespace: string, name: string, podIP: string, more: object = {}) => ({
  metadata: { namespace, name, labels: { app: name } },
  spec: {},
  status: { podIP, phase: 'Running' },
  ...more,
})
const namespaces = ['shop', 'other'].map(name => ({ metadata: { name, labels: { name } } }))
const pods = [
  pod('shop', 'server', '10.0.0.1'),
  pod('shop', 'client', '10.0.0.2'),
  pod('other', 'client', '10.0.0.3'),
  pod('shop', 'host', '10.0.0.4', { spec: { hostNetwork: true } }),
  pod('shop', 'server', '10.0.0.5', { status: { podIP: '10.0.0.5', phase: 'Succeeded' } }),
]
const policy = (spec: Omit<Policy['spec'], 'podSelector'>): Policy => ({
  metadata: { namespace: 'shop', name: 'server' },
  spec: { podSelector: { matchLabels: { app: 'server' } }, ...spec },
})
const rules = (spec: Omit<Policy['spec'], 'podSelector'>) =>
  policyRules({ policies: [policy(spec)], pods, namespaces })

it('lets to a selected pod those that a rule names, at its ports, and drops the rest', () => {
  const client = { matchLabels: { app: 'client' } }
  const text = rules({
    policyTypes: ['Ingress'],
    ingress: [
      { from: [{ podSelector: client }], ports: [{ port: 4222, protocol: 'TCP' }] },
      {
        from: [{ namespaceSelector: { matchLabels: { name: 'other' } }, podSelector: client }],
        ports: [{ port: 53, protocol: 'UDP' }],
      },
    ],
  })
  expect(text).toContain(`chain ingress-10-0-0-1 {
ip saddr { 10.0.0.2 } tcp dport 4222 return
ip saddr { 10.0.0.3 } udp dport 53 return
counter drop
}`)
  expect(text).toContain('ip daddr 10.0.0.1 jump ingress-10-0-0-1')
  // nobody asked for what it sends, and of no other pod
  expect(text.match(/jump/g)).toHaveLength(1)
})

it('lets nobody through where no pod is what a rule names, and everybody where it names none', () => {
  const nobody = { podSelector: { matchLabels: { app: 'nobody' } } }
  expect(rules({ policyTypes: ['Ingress'], ingress: [{ from: [nobody] }] })).toContain(
    'chain ingress-10-0-0-1 {\ncounter drop\n}',
  )
  expect(rules({ policyTypes: ['Egress'], egress: [{}] })).toContain(
    'chain egress-10-0-0-1 {\nreturn\ncounter drop\n}',
  )
  expect(rules({ policyTypes: ['Egress'] })).toContain('chain egress-10-0-0-1 {\ncounter drop\n}')
})

it('refuses what it does not know', () => {
  const block = { ipBlock: { cidr: '10.0.0.0/8' } }
  expect(() => rules({ policyTypes: ['Ingress'], ingress: [{ from: [block] }] })).toThrow('ipBlock')
  expect(() =>
    rules({ policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 'nats', protocol: 'TCP' }] }] }),
  ).toThrow('nats')
})
