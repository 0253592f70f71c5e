import type { LabSpec, PodSpec } from './spec.ts'

/** Every name the lab leaves on the machine starts with one of these, so that `down` finds it without a state file. */
export const netnsPrefix = (labId: string) => `skylab-${labId}-`
export const cgroupName = (labId: string) => `skybraid-lab-${labId}`
export const runRoot = '/run/skybraid-lab'
export const runDirectory = (labId: string) => `${runRoot}/${labId}`

export const nodeNetns = (spec: LabSpec, node: string) => `${netnsPrefix(spec.id)}${node}`
export const outsideNetns = (spec: LabSpec) => `${netnsPrefix(spec.id)}outside`
export const podNetns = (spec: LabSpec, pod: PodSpec) =>
  pod.hostNetwork ? nodeNetns(spec, pod.node) : `${netnsPrefix(spec.id)}pod-${pod.name}`

export const netnsPath = (name: string) => `/run/netns/${name}`
