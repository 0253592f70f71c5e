import { defineOptions } from '@skybraid/shared'

/** How much every command says. */
export const logLevelOption = defineOptions({
  'log-level': {
    type: 'string',
    description: 'Least severe log lines to print',
    default: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error'],
    env: 'SKYBRAID_LOG_LEVEL',
  },
})
