import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { natsConfigSchema } from '@skybraid/shared/nats'
import { aggregatorBusConfigSchema } from '../bus/bus-config.ts'
import { namesConfigSchema } from '../kube/names-config.ts'

const { kubernetes, kubeconfig } = namesConfigSchema

/** Options of the program that lets collectors in by the tokens of their pods. */
export const busAuthConfigSchema = defineOptions({
  ...natsConfigSchema,
  cluster: aggregatorBusConfigSchema.cluster,
  kubernetes,
  kubeconfig,
  'issuer-secret-file': {
    type: 'string',
    description: 'File with the secret that the key is made from which signs logins',
    env: 'SKYBRAID_ISSUER_SECRET_FILE',
    placeholder: 'FILE',
  },
  'write-issuer': {
    type: 'string',
    description: 'Write the public part of that key, as a line of configuration for the server, and end',
    env: 'SKYBRAID_WRITE_ISSUER',
    placeholder: 'FILE',
  },
  'service-account': {
    type: 'string',
    description: 'Service account of the collectors, whose tokens alone are taken, as NAMESPACE/NAME',
    env: 'SKYBRAID_SERVICE_ACCOUNT',
    placeholder: 'NAMESPACE/NAME',
    check: text =>
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text)
        ? undefined
        : 'must be NAMESPACE/NAME',
  },
  audience: {
    type: 'string',
    description: 'Whom the tokens of collectors must be for',
    env: 'SKYBRAID_AUDIENCE',
    default: 'skybraid-bus',
    placeholder: 'NAME',
  },
  account: {
    type: 'string',
    description: 'Account of the bus that collectors publish in',
    env: 'SKYBRAID_ACCOUNT',
    default: 'SKYBRAID',
    placeholder: 'NAME',
  },
  'status-listen': {
    type: 'address',
    description: 'Where /metrics, /livez and /readyz are served',
    env: 'SKYBRAID_STATUS_LISTEN',
    default: { host: '127.0.0.1', port: 7102 },
  },
})

export type BusAuthConfig = ConfigOf<typeof busAuthConfigSchema>
