import { ExitCode } from './exit-code.ts'

// npm hands on a Ctrl-C that the terminal has already sent to us as well
const sameSignalMs = 1_000

const endingSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Resolves at Ctrl-C or when told to end. Told again later, it ends at once: the kernel drops what a dead process held. */
export function stopSignal(signals = endingSignals): Promise<string> {
  return new Promise(resolve => {
    let firstAt: number | undefined
    for (const signal of signals) {
      process.on(signal, () => {
        firstAt ??= performance.now()
        if (performance.now() - firstAt > sameSignalMs) process.exit(ExitCode.failed)
        resolve(signal)
      })
    }
  })
}
