/** The part of a pino logger that the collector uses: fields first, then a message that never varies. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
