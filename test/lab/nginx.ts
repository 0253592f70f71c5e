import { mkdir, writeFile } from 'node:fs/promises'
import type { Lab } from './lab.ts'
import type { LabProcess } from './lab-process.ts'
import { type NginxRequest, readNginxLog } from './truth/nginx-log.ts'

export interface NginxOptions {
  readonly port: number
  /** Bodies of these sizes are served at /1k, /300k and so on, by the kernel's sendfile. */
  readonly files?: Readonly<Record<string, number>>
  /** Lines for the server block: locations, limits. */
  readonly server?: string
  /** Lines for the http block: upstreams. */
  readonly http?: string
  readonly resolvConf?: string
}

export interface Nginx {
  readonly process: LabProcess
  /** Every request it has finished, by its own access log. */
  requests(): Promise<NginxRequest[]>
  stop(): Promise<void>
}

const logFormat =
  '{"connection":$connection,"request":$connection_requests,"remote":"$remote_addr","remotePort":$remote_port,' +
  '"serverPort":$server_port,"method":"$request_method","uri":"$request_uri","status":$status,' +
  '"requestLength":$request_length,"bytesSent":$bytes_sent,"seconds":$request_time,' +
  '"upstreamSent":"$upstream_bytes_sent","upstreamReceived":"$upstream_bytes_received"}'

/** Starts nginx at a target and waits until it listens. IPv4 and IPv6; one worker. */
export async function startNginx(lab: Lab, target: string, options: NginxOptions): Promise<Nginx> {
  const directory = `${lab.directory}/nginx-${target}-${options.port}`
  await mkdir(`${directory}/files`, { recursive: true })
  for (const [name, size] of Object.entries(options.files ?? { '1k': 1024 }))
    await writeFile(`${directory}/files/${name}`, Buffer.alloc(size, 'x'))
  await writeFile(`${directory}/nginx.conf`, configuration(directory, options))
  const argv = ['nginx', '-p', directory, '-c', `${directory}/nginx.conf`, '-e', `${directory}/error.log`]
  const child = await lab.spawn(
    target,
    argv,
    options.resolvConf === undefined ? {} : { resolvConf: options.resolvConf },
  )
  await lab.listening(child, options.port)
  return {
    process: child,
    requests: () => readNginxLog(`${directory}/access.log`),
    stop: async () => {
      await child.stop('SIGQUIT')
    },
  }
}

function configuration(directory: string, options: NginxOptions): string {
  return `daemon off;
user root;
worker_processes 1;
pid ${directory}/nginx.pid;
events { worker_connections 8192; }
http {
  log_format truth escape=json '${logFormat}';
  access_log ${directory}/access.log truth;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  default_type application/octet-stream;
  sendfile on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  ${options.http ?? ''}
  server {
    listen ${options.port} backlog=4096;
    listen [::]:${options.port} backlog=4096;
    root ${directory}/files;
    ${options.server ?? ''}
  }
}
`
}
