import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ConfigSources, type LoadedConfig, loadConfig } from './load.ts'
import { nearestName } from './nearest.ts'
import { defineOptions } from './option.ts'
import { formatConfig, formatHelp } from './show.ts'
import { formatValue, parseText } from './value.ts'

const schema = defineOptions({
  listen: {
    type: 'address',
    description: 'Where the API is',
    default: { host: '127.0.0.1', port: 7100 },
    env: 'T_LISTEN',
  },
  flush: { type: 'duration', description: 'Flush', default: 500, min: 10, max: 60_000, env: 'T_FLUSH' },
  ring: { type: 'bytes', description: 'Ring', default: 1 << 20 },
  'max-flows': { type: 'number', description: 'Flows', default: 10, min: 1, env: 'T_MAX_FLOWS' },
  udp: { type: 'boolean', description: 'No UDP', default: true, env: 'T_UDP' },
  demo: { type: 'boolean', short: 'd', description: 'Demo' },
  node: { type: 'list', description: 'Nodes', default: [], env: 'T_NODE' },
  mode: { type: 'string', short: 'm', description: 'Mode', values: ['fast', 'exact'], default: 'fast' },
  token: { type: 'string', description: 'Token', secret: true, env: 'T_TOKEN' },
})

const load = (args: string[] = [], env: Record<string, string> = {}, file?: string) => {
  const sources: ConfigSources = { args, env }
  return loadConfig(schema, file === undefined ? sources : { ...sources, readFile: () => file })
}

function loaded(...sources: Parameters<typeof load>): LoadedConfig<typeof schema> {
  const result = load(...sources)
  if (!result.ok) throw new Error(result.errors.join(' '))
  return result
}

function errors(...sources: Parameters<typeof load>): readonly string[] {
  const result = load(...sources)
  return result.ok ? [] : result.errors
}

describe('loadConfig', () => {
  it('starts from the defaults', () => {
    expect(loaded().config).toEqual({
      listen: { host: '127.0.0.1', port: 7100 },
      flush: 500,
      ring: 1_048_576,
      maxFlows: 10,
      udp: true,
      demo: undefined,
      node: [],
      mode: 'fast',
      token: undefined,
    })
  })

  it('prefers flags to the environment, that to the file, and that to the default', () => {
    const file = '{"flush": "1s", "max-flows": 3, "ring": 4096, "node": ["f"], "udp": false}'
    const env = { T_FLUSH: '2s', T_MAX_FLOWS: '4' }
    const { config, origins } = loaded(['--config', 'x.json', '--flush=3s'], env, file)
    expect(config).toMatchObject({
      flush: 3_000,
      maxFlows: 4,
      ring: 4_096,
      node: ['f'],
      udp: false,
      mode: 'fast',
    })
    expect(Object.fromEntries(origins)).toMatchObject({
      flush: 'flag',
      'max-flows': 'environment',
      ring: 'file',
      mode: 'default',
      token: 'unset',
    })
  })

  it('reads every way to write a flag', () => {
    const args = [
      '--flush',
      '200ms',
      '--no-udp',
      '--demo',
      '--node',
      'a=/x,y',
      '--node=b=/z',
      '--ring',
      '64KiB',
    ]
    expect(loaded([...args, '--listen', '[::1]:80']).config).toMatchObject({
      flush: 200,
      udp: false,
      demo: true,
      node: ['a=/x,y', 'b=/z'],
      ring: 65_536,
      listen: { host: '::1', port: 80 },
    })
    expect(loaded(['--udp=false', '--demo=true']).config).toMatchObject({ udp: false, demo: true })
    expect(loaded(['-d', '-m', 'exact']).config).toMatchObject({ demo: true, mode: 'exact' })
    expect(loaded(['-m=exact']).config).toMatchObject({ demo: undefined, mode: 'exact' })
    expect(loaded([], { T_NODE: 'a, b', T_UDP: 'off' }).config).toMatchObject({
      node: ['a', 'b'],
      udp: false,
    })
  })

  it('collects every problem, a sentence each', () => {
    const args = ['--flsh', '1s', '--max-flows=0', '--flush', '5', '--mode=slow', 'stray', '--listen', 'x']
    expect(errors(args)).toEqual([
      'Unknown flag --flsh; the nearest is --flush.',
      'Unexpected argument "1s".',
      'Unexpected argument "stray".',
      '--listen must be HOST:PORT, not "x".',
      '--flush must be a time with its unit, for example 200ms, 5s or 1m, not "5".',
      '--max-flows must be at least 1, not 0.',
      '--mode must be one of fast, exact, not "slow".',
    ])
  })

  it.each<[string, string[], Record<string, string>]>([
    ['Unknown flag --zzzzzzzzzz; --help lists all flags.', ['--zzzzzzzzzz'], {}],
    ['--flush needs a value.', ['--flush'], {}],
    ['--flush needs a value.', ['--flush', '--demo'], {}],
    ['--flush is given twice.', ['--flush=1s', '--flush=2s'], {}],
    ['--no-udp takes no value.', ['--no-udp=1'], {}],
    ['Unknown flag --no-flush; the nearest is --flush.', ['--no-flush'], {}],
    ['Unknown flag -x; --help lists all flags.', ['-x'], {}],
    ['--mode is given twice.', ['-m', 'fast', '--mode=fast'], {}],
    ['T_FLUSH must be at least 10ms, not 1ms.', [], { T_FLUSH: '1ms' }],
    ['--ring must be a size, for example 65536, 64KiB or 16MB, not "1XB".', ['--ring=1XB'], {}],
    ['T_UDP must be true or false, not "maybe".', [], { T_UDP: 'maybe' }],
    ['Unknown flag --__proto__; --help lists all flags.', ['--__proto__', '--demo'], {}],
    ['Unknown flag --constructor; --help lists all flags.', ['--constructor', '--demo'], {}],
  ])('says: %s', (sentence, args, env) => {
    expect(errors(args, env)).toEqual([sentence])
  })

  it('says what is wrong with a file', () => {
    const args = ['--config=x.json']
    expect(errors(args, {}, '{"flsh": 1}')).toEqual([
      'Unknown key "flsh" in the config file; the nearest is "flush".',
    ])
    expect(errors(args, {}, '{"flush": 5}')).toEqual([
      '"flush" in the config file must be a string such as "5s", not 5.',
    ])
    expect(errors(args, {}, '{"node": "a"}')).toEqual([
      '"node" in the config file must be a list of strings, not "a".',
    ])
    expect(errors(args, {}, '[]')).toEqual(['The config file x.json must hold options by name.'])
    expect(errors(args, {}, '{')[0]).toMatch(/^The config file x\.json cannot be read: .*\.$/)
    expect(errors(args)).toEqual(['The config file x.json cannot be read: this program reads no file.'])
  })

  it('ignores empty environment variables and what others put there', () => {
    const foreign = { T_FLUSH: '', PATH: '/bin', T_SERVICE_HOST: '10.0.0.1', T_PORT_80_TCP_ADDR: '10.0.0.1' }
    expect(loaded([], foreign).config.flush).toBe(500)
  })

  it('names the nearest variable to one that it does not know', () => {
    expect(errors([], { T_FLUSSH: '1s' })).toEqual([
      'Unknown environment variable T_FLUSSH; the nearest is T_FLUSH.',
    ])
  })

  it('never throws and never answers with an unknown key, whatever the arguments', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom('--', '--flush', '--no-udp', '--node', '=', '--config', '-h'),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), args => {
        const result = load(args)
        if (result.ok) expect(Object.keys(result.config)).toHaveLength(Object.keys(schema).length)
        else expect(result.errors.every(text => text.endsWith('.'))).toBe(true)
      }),
    )
  })

  it('notes what else was asked for', () => {
    expect(load(['-h'])).toMatchObject({ ok: true, help: true, printConfig: false })
    expect(load(['--print-config'])).toMatchObject({ ok: true, help: false, printConfig: true })
    expect(load(['--help', '--nope'])).toMatchObject({ ok: false, help: true })
    const collected = loadConfig(schema, { args: ['a', '--', '--flush'], env: {}, allowPositionals: true })
    expect(collected).toMatchObject({ ok: true, positionals: ['a', '--flush'] })
  })
})

describe('quantities', () => {
  it('are written back as they can be read', () => {
    const duration = { type: 'duration', description: '' } as const
    const bytes = { type: 'bytes', description: '' } as const
    fc.assert(
      fc.property(fc.maxSafeNat(), amount => {
        for (const option of [duration, bytes]) {
          expect(parseText(option, formatValue(option, amount))).toEqual({ ok: true, value: amount })
        }
      }),
    )
    expect(formatValue(duration, 90_000)).toBe('90s')
    expect(formatValue(bytes, 1 << 20)).toBe('1MiB')
    expect(parseText(duration, '1.5s')).toEqual({ ok: true, value: 1_500 })
    expect(parseText(duration, '1constructor')).toMatchObject({ ok: false })
  })
})

describe('nearestName', () => {
  const names = ['listen', 'flush', 'max-flows', 'data-dir']

  it.each([
    ['flsuh', 'flush'],
    ['lisen', 'listen'],
    ['maxflows', 'max-flows'],
    ['datadir', 'data-dir'],
    ['completely-different', undefined],
  ])('finds for %s: %s', (typed, expected) => {
    expect(nearestName(typed, names)).toBe(expected)
  })

  it('does not spend long on a giant name', () => {
    expect(nearestName('x'.repeat(1_000_000), names)).toBeUndefined()
  })
})

describe('formatHelp', () => {
  it('shows every option with its default and variable, in lines that fit', () => {
    const text = formatHelp(schema, 'test [options]', 80)
    expect(text).toContain('  --flush TIME                Flush (default 500ms; T_FLUSH)\n')
    expect(text).toContain('  --listen HOST:PORT          Where the API is (default 127.0.0.1:7100;\n')
    expect(text).toContain('  -d, --demo                  Demo\n')
    expect(text).toContain('  --no-udp                    No UDP (T_UDP)\n')
    expect(text).toContain('  -m, --mode TEXT             Mode (one of fast, exact; default fast)\n')
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(80)
  })
})

describe('formatConfig', () => {
  it('shows values as they are written, where they came from, and no secret', () => {
    const text = formatConfig(schema, loaded(['--ring=4KiB'], { T_TOKEN: 'hunter2', T_FLUSH: '1s' }))
    const rows = text
      .trimEnd()
      .split('\n')
      .map(row => row.split(/ {2,}/))
    expect(rows).toContainEqual(['ring', '4KiB', 'flag'])
    expect(rows).toContainEqual(['flush', '1s', 'environment T_FLUSH'])
    expect(rows).toContainEqual(['token', '********', 'environment T_TOKEN'])
    expect(rows).toContainEqual(['listen', '127.0.0.1:7100', 'default'])
    expect(text).not.toContain('hunter2')
  })
})
