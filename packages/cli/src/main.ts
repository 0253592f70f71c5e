import { ExitCode } from './exit-code.ts'
import { run } from './run.ts'

// Whoever read the output has gone (`npm start | head`): end as if told to, so that everything is cleaned up; a command
// that listens to no signal has nothing to clean up.
process.stdout.on('error', () => {
  if (process.listenerCount('SIGTERM') === 0) process.exit(ExitCode.ok)
  process.kill(process.pid, 'SIGTERM')
})

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  // opened only by a command that reads it
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
})
