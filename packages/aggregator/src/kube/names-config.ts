import { type ConfigOf, defineOptions } from '@skybraid/shared'
import { addressRange } from '../resolve/address-range.ts'

const outsideForm = /^[^=]{1,100}=(.+)$/

/** Where names come from beside the kernel and DNS. */
export const namesConfigSchema = defineOptions({
  kubernetes: {
    type: 'string',
    description:
      'Where names of pods, services and nodes come from; auto is in-cluster where a service account’s token is mounted, otherwise off',
    env: 'SKYBRAID_KUBERNETES',
    values: ['auto', 'off', 'in-cluster', 'kubeconfig'],
    default: 'auto',
  },
  kubeconfig: {
    type: 'string',
    description: 'File for --kubernetes kubeconfig; without it KUBECONFIG or ~/.kube/config',
    env: 'SKYBRAID_KUBECONFIG',
    placeholder: 'FILE',
  },
  outside: {
    type: 'list',
    description:
      'Name of a range of outside addresses that have no other name, as office=192.0.2.0/24; repeat it for several',
    env: 'SKYBRAID_OUTSIDE',
    default: [],
    placeholder: 'NAME=CIDR',
    check: (list: readonly string[]) => {
      const wrong = list.find(text => addressRange(outsideForm.exec(text)?.[1] ?? '') === undefined)
      return wrong === undefined ? undefined : `must be NAME=CIDR, not ${JSON.stringify(wrong)}`
    },
  },
})

export type NamesConfig = ConfigOf<typeof namesConfigSchema>
