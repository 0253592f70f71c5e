import { run } from './run.ts'

// whoever read the output has gone (`npm start | head`): end as if told to, so that everything is cleaned up
process.stdout.on('error', () => process.kill(process.pid, 'SIGTERM'))

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
})
