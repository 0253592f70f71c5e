/** What the shell is told. */
export const ExitCode = {
  ok: 0,
  /** Something went wrong while running. */
  failed: 1,
  /** The command line, environment or file is wrong. */
  usage: 2,
  /** A collector was told to end and the bus did not take all it had; it says how many records. */
  leftBehind: 2,
  /** This machine, or the rights given on it, cannot do what was asked. */
  cannotRun: 3,
} as const
