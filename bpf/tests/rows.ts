import { type Json, LineProcess } from './line-process.ts'

/** A row as native/tools/dump_rows.cc prints it; which fields there are depends on the kind. */
export interface Row {
  readonly kind: 'reading' | 'closed' | 'failed' | 'half_open' | 'udp' | 'dns'
  readonly family: number
  readonly role: number
  readonly flags: number
  readonly local: string
  readonly localPort: number
  readonly remote: string
  readonly remotePort: number
  readonly cookie: string
  readonly cgroup: number
  readonly netns: number
  readonly tgid: number
  readonly comm: string
  readonly state: number
  readonly skErr: number
  readonly reason: number
  readonly openedNs: number
  readonly readNs: number
  readonly diallerIsn: number
  readonly acceptorIsn: number
  readonly handshakeUs: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly dataSegmentsSent: number
  readonly dataSegmentsReceived: number
  readonly retransmits: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly datagramsSent: number
  readonly datagramsReceived: number
  /** Of a message to or from a name server: 1 if it was sent. */
  readonly sent: number
  readonly message: string
}

export const Role = { client: 1, server: 2 } as const
export const Flag = {
  adopted: 1,
  guessed: 2,
  inherited: 4,
  keyValid: 8,
  quiet: 16,
  finSent: 32,
  finReceived: 64,
  rstSent: 128,
  rstReceived: 256,
  mptcp: 512,
  gone: 2048,
  synRetransmitted: 4096,
} as const
/** EndReason of proto/skybraid/v1/flow.proto. */
export const Reason = {
  fin: 1,
  rstSent: 2,
  rstReceived: 3,
  kernelTimeout: 4,
  refused: 5,
  timedOut: 6,
  unreachable: 7,
  resetInHandshake: 8,
  abandoned: 9,
} as const
/** Positions in the counters, enum sb_counter of bpf/include/record.h. */
export const Counter = {
  produced: 0,
  full: 1,
  refused: 2,
  udpFull: 3,
  adopted: 4,
  sockets: 5,
  unsettled: 6,
  missed: 8,
  dialsFull: 9,
  madeUpFor: 10,
} as const

export interface Flushed {
  readonly consumed: number
  readonly counters: readonly number[]
}

export interface DumpOptions {
  readonly ringBytes?: number
  readonly files?: boolean
  readonly udp?: boolean
  /** The programs that keep a dial's CPU busy for a while. */
  readonly slow?: boolean
}

/** The kernel programs on one cgroup, and every row they made. */
export class Rows {
  readonly #process: LineProcess

  private constructor(process: LineProcess) {
    this.#process = process
  }

  static async open(cgroup: string, options: DumpOptions = {}): Promise<Rows> {
    const build = new URL('../build/', import.meta.url).pathname
    const args = [
      '--objects',
      options.slow === true ? `${build}slow` : build,
      '--cgroup',
      cgroup,
      '--interval-ms',
      '50',
    ]
    if (options.ringBytes !== undefined) args.push('--ring', String(options.ringBytes))
    if (options.files !== true) args.push('--no-files')
    if (options.udp === false) args.push('--no-udp')
    const rows = new Rows(new LineProcess(`${build}dump-rows`, args))
    const opened = await rows.#process.until('the programs', () => rows.#process.lines[0])
    if (opened.ok !== true) throw new Error(String(opened.error))
    return rows
  }

  get opened(): Json {
    return this.#process.lines[0] ?? {}
  }

  get all(): readonly Row[] {
    return this.#process.lines.filter(
      line => !['open', 'flushed', 'swept'].includes(String(line.kind)),
    ) as unknown as Row[]
  }

  of(kind: Row['kind'], port?: number): readonly Row[] {
    return this.all.filter(
      row => row.kind === kind && (port === undefined || row.localPort === port || row.remotePort === port),
    )
  }

  async command(line: string): Promise<Flushed> {
    const before = this.#process.lines.filter(row => row.kind === 'flushed').length
    this.#process.tell(line)
    return this.#process.until(`the answer to ${line}`, () => {
      const answers = this.#process.lines.filter(row => row.kind === 'flushed')
      return answers.length > before ? (answers.at(-1) as unknown as Flushed) : undefined
    })
  }

  flush(): Promise<Flushed> {
    return this.command('flush')
  }

  /** Waits for `count` rows of a kind with this port on either end. */
  async until(kind: Row['kind'], port: number, count: number, timeoutMs?: number): Promise<readonly Row[]> {
    const test = () => {
      const rows = this.of(kind, port)
      return rows.length >= count ? rows : undefined
    }
    try {
      return await this.#process.until(`${count} ${kind} rows of port ${port}`, test, timeoutMs)
    } catch (error) {
      // whether what is missing was at least counted: enum sb_counter in record.h
      const { counters } = await this.flush()
      throw new Error(`${(error as Error).message}; counters ${counters}`, { cause: error })
    }
  }

  /** Waits for a row that `test` accepts. */
  untilRow(what: string, test: (row: Row) => boolean, timeoutMs?: number): Promise<Row> {
    return this.#process.until(what, () => this.all.find(test), timeoutMs)
  }

  close(): Promise<void> {
    return this.#process.end()
  }
}
