export interface CaptureOptions {
  /** Folder with the compiled bpf objects. */
  readonly objectDir: string
  /** cgroup2 directory; its whole subtree is observed. */
  readonly cgroupPath: string
  readonly flushMs: number
  /** Number of partitions that records are split into by a hash of the dialler's part of the key. */
  readonly partitions: number
  readonly ringBytes: number
  /** Capacity of the table of open flows. */
  readonly maxFlows: number
  readonly udp: boolean
  /** Application protocols that are read: bit per number of L7Protocol in flow.proto; none unless told. */
  readonly l7?: number
  readonly taskFiles: boolean
  /** How often the counters of a long-lived connection are reported, in milliseconds. */
  readonly reportMs: number
  /** How often an open connection announces itself although nothing changed, in milliseconds. */
  readonly announceMs: number
}

export interface HookReport {
  readonly hook: string
  readonly attached: boolean
  readonly reason: string
  readonly consequence: string
}

/** Cumulative since `open`; the names are those of bpf/include/record.h and native/src/flow_table.h. */
export interface CaptureCounters {
  readonly ringProduced: number
  readonly ringConsumed: number
  readonly ringFull: number
  /** Connections that the kernel gave no socket storage. */
  readonly storageRefused: number
  /** Datagrams whose flow found no room in the kernel's map. */
  readonly udpMapFull: number
  /** Flows that found no room in the table, each once; what they counted comes with their end. */
  readonly flowTableFull: number
  readonly adopted: number
  readonly keyUnsettled: number
  readonly sockets: number
  readonly openFlows: number
  /** Records made, those merged before encoding and those sampled out included: minus both it is the sum of all frames' recordCount. */
  readonly recordsEncoded: number
  /** Records that were joined on purpose with another of the same flow and minute before encoding. */
  readonly recordsMerged: number
  /** Records of connections that sampling leaves out; part of recordsEncoded. */
  readonly recordsSampledOut: number
  readonly dnsMalformed: number
  /** Answers of name servers that no question of their socket was waiting for: they name nothing. */
  readonly dnsUnasked: number
  /** State changes that happened within the handling of another one, which the kernel does not show. */
  readonly stateChangesMissed: number
  /** Ends among them that were found afterwards, while their sockets were still there. */
  readonly endsMadeUpFor: number
  /** Diallers that found no room in their table and got storage instead: slower, not lost. */
  readonly dialsFull: number
  /** Rows of a connection that came after its end was taken in; all they say is in its last record. */
  readonly rowsAfterClose: number
  /** Rows with a counter below an earlier one (torn); that counter was held where it was. */
  readonly rowsRegressed: number
  readonly l7: ProtocolCounters
}

/** What became of application protocols; the causes are those of L7Cause in flow.proto. */
export interface ProtocolCounters {
  /** Pieces of streams that were read. */
  readonly pieces: number
  readonly ringFull: number
  readonly givenUp: number
  readonly gap: number
  readonly unpaired: number
  readonly outOfStep: number
  readonly operationsFull: number
  readonly stateRefused: number
  readonly rowsFull: number
  readonly late: number
  readonly malformed: number
  readonly cut: number
  readonly timesFull: number
  readonly misplaced: number
  /** Connections by what they speak, by number of L7Protocol. */
  readonly verdicts: readonly number[]
}

/**
 * A flush is one ArrayBuffer: a sequence of frames, each a 32-byte little-endian head followed by `bodyBytes` bytes,
 * padded to a multiple of 8:
 *   u32 partition, u32 recordCount, f64 baseUnixMs (start of the records' minute), u32 bodyBytes, u32 reserved, f64 atUnixMs
 * The body is the part of a FlowBatch after its plain header: owners, names and columns (fields 20 to 76), so that
 * header bytes put in front of it make a complete message. A frame has at most 1,000 records and 46 KB.
 * A frame with recordCount 0 and bodyBytes 0 says that the minute `baseUnixMs` is complete in that partition.
 * There are no other frames without records. All frames of one flush belong to one minute.
 */
export type Flush = ArrayBuffer

export interface Capture {
  readonly hooks: readonly HookReport[]
  readonly capabilities: number
  counters(): CaptureCounters
  /** From now on one in 2^exponent connections is recorded (0 to 15); those that were decided on stay as they are. */
  setSampling(exponent: number): void
  /**
   * From a Unix minute on records are split into `count` partitions whose numbers begin with `first`; before, as before.
   * What was said of that minute and later ones until now is void. At most four are remembered.
   */
  setPartitions(first: number, count: number, fromMinute: number): void
  /**
   * Drains everything, detaches all programs, joins the poll thread and calls `onFlush` for what is pending before it
   * returns. Idempotent; `counters()` keeps the last figures.
   */
  close(): void
}

/** Loads and attaches, then calls `onFlush` once per flush interval. Throws an Error with one plain sentence if nothing can run. */
export function open(options: CaptureOptions, onFlush: (flush: Flush) => void): Capture

/**
 * Lets go of the pages of program and libraries, code and constants, that the process has mapped; what is used again
 * comes back from the page cache. To be called once the start is over: it frees what only the start needed. Answers how
 * many bytes were mapped.
 */
export function releaseStartupCode(): number

/**
 * Takes every capability from all threads of the process, for good; before kernel 5.19 CAP_BPF stays. What is attached
 * goes on. Answers what went wrong, or an empty text.
 */
export function dropCapabilities(): string
