import { ExitCode } from './exit-code.ts'

// npm hands on a Ctrl-C that the terminal has already sent to us as well
const sameSignalMs = 1_000

/** Resolves at Ctrl-C or when told to end. Told again later, it ends at once: the kernel drops what a dead process held. */
export function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    let firstAt: number | undefined
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        firstAt ??= performance.now()
        if (performance.now() - firstAt > sameSignalMs) process.exit(ExitCode.failed)
        resolve(signal)
      })
    }
  })
}
