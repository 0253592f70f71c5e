import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import sensible from '@fastify/sensible'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { createAnswerCache } from './answer-cache.ts'
import type { ApiContext, ApiDeps, ApiServer } from './api-deps.ts'
import { demandViewer } from './auth/access.ts'
import { asksWho } from './auth/ways-in.ts'
import { createBodyStore } from './body-store.ts'
import { checkHost } from './host-check.ts'
import { pageFolder } from './page-files.ts'
import { createPressureHandler } from './pressure.ts'
import { RequestProblem, sendProblem, toProblem } from './problem.ts'
import { checkQuery } from './query-check.ts'
import { edgeRoute } from './route/edge-route.ts'
import { edgesRoute } from './route/edges-route.ts'
import { flowsRoute } from './route/flows-route.ts'
import { healthRoutes } from './route/health-routes.ts'
import { metricsRoute } from './route/metrics-route.ts'
import { openApiRoute } from './route/openapi-route.ts'
import { operationsRoute } from './route/operations-route.ts'
import { problemsRoute } from './route/problems-route.ts'
import { statusRoute } from './route/status-route.ts'
import { streamRoute } from './route/stream-route.ts'
import { topologyRoute } from './route/topology-route.ts'
import { flowListSchema } from './schema/flow-schema.ts'
import { edgeDetailSchema, operationListSchema } from './schema/operation-list-schema.ts'
import { problemSchema } from './schema/problem-schema.ts'
import { healthSchema, statusSchema } from './schema/status-schema.ts'
import { edgeListSchema, topologySchema } from './schema/topology-schema.ts'
import { StreamHub } from './stream/stream-hub.ts'

/** The HTTP server over a core, ready to listen or to be injected requests. Closing it ends all live streams. */
export async function buildServer(deps: ApiDeps): Promise<ApiServer> {
  const cache = createAnswerCache(deps.reader)
  const hub = new StreamHub(deps, cache)
  const context: ApiContext = { ...deps, cache, bodies: createBodyStore(), streams: hub }
  const app = createFastify(deps)
  app.setErrorHandler<FastifyError>((error, request, reply) =>
    sendProblem(toProblem(error, request), request, reply),
  )
  app.addHook('preClose', async () => hub.close())
  if (deps.options.loopbackOnly) app.addHook('onRequest', async request => checkHost(request))
  await registerPlugins(app, deps)
  demandViewer(app, deps)
  app.setNotFoundHandler(answerUnknownPath)
  app.addHook('preValidation', async request => checkQuery(request))
  for (const schema of [
    topologySchema,
    edgeListSchema,
    edgeDetailSchema,
    operationListSchema,
    flowListSchema,
    statusSchema,
    healthSchema,
    problemSchema,
  ]) {
    app.addSchema(schema)
  }
  for (const prefix of ['/api/v1', '/']) {
    await app.register(async scope => apiRoutes(scope as ApiServer, context, hub), { prefix })
  }
  await app.register(async scope => pageFiles(scope as ApiServer))
  return app
}

/** The page's files hold no figures, and the page has to be there to ask for the token: they are open. */
async function pageFiles(scope: ApiServer): Promise<void> {
  scope.addHook('onRoute', route => {
    route.config = { ...route.config, open: true }
  })
  await scope.register(fastifyStatic, {
    root: pageFolder(),
    wildcard: false,
    maxAge: 0,
    globIgnore: ['**/*.ts'],
  })
}

function createFastify({ log }: ApiDeps): ApiServer {
  const app = Fastify({
    // who starts the server says where it listens, in its own words
    loggerInstance: log.child({}, { level: log.level === 'silent' ? 'silent' : 'warn' }),
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 10_000,
    handlerTimeout: 5_000,
    connectionTimeout: 60_000,
    bodyLimit: 16 * 1024,
    http: { headersTimeout: 10_000 },
    routerOptions: { maxParamLength: 3 * 1024 },
    forceCloseConnections: true,
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: 'array', useDefaults: false, allErrors: true },
    },
    // a path that can't be decoded never reaches a route or its error handler
    frameworkErrors: (error, request, reply) => {
      sendProblem(
        new RequestProblem(400, 'malformed-request', error.message),
        request as FastifyRequest,
        reply as FastifyReply,
      )
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  // answers are sent as text; this only serves what plugins answer
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  return app as unknown as ApiServer
}

async function registerPlugins(app: ApiServer, deps: ApiDeps): Promise<void> {
  const { options, version } = deps
  await app.register(sensible)
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
        'img-src': ["'self'", 'data:'],
        'connect-src': ["'self'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    // the API speaks plain HTTP; telling a browser to insist on HTTPS would lock it out
    strictTransportSecurity: false,
  })
  await app.register(underPressure, {
    maxEventLoopDelay: 1000,
    pressureHandler: createPressureHandler(() => performance.now()),
  })
  if (options.requestsPerSecond > 0) {
    await app.register(rateLimit, { max: options.requestsPerSecond * 10, timeWindow: 10_000 })
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'skybraid',
        version,
        description:
          'Who talks to whom, how well, and why not, seen from both ends. Paths also work without /api/v1.',
      },
      ...(asksWho(deps) && {
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
        security: [{ token: [] }],
      }),
      tags: [{ name: 'topology' }, { name: 'flows' }, { name: 'status' }, { name: 'health' }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
    transform: ({ schema, url }) => ({ schema: { ...schema, hide: !url.startsWith('/api/v1/') }, url }),
  })
}

function apiRoutes(scope: ApiServer, context: ApiContext, hub: StreamHub): void {
  topologyRoute(scope, context)
  streamRoute(scope, context, hub)
  edgesRoute(scope, context)
  edgeRoute(scope, context)
  operationsRoute(scope, context)
  flowsRoute(scope, context)
  statusRoute(scope, context)
  metricsRoute(scope, context)
  healthRoutes(scope, context)
  openApiRoute(scope)
  problemsRoute(scope)
}

function answerUnknownPath(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem =
    request.method === 'GET' || request.method === 'HEAD'
      ? new RequestProblem(404, 'not-found', 'There is nothing here; /openapi.json lists what there is.')
      : new RequestProblem(405, 'method-not-allowed', 'The API can only be read: use GET or HEAD.')
  if (problem.status === 405) reply.header('allow', 'GET, HEAD')
  return sendProblem(problem, request, reply)
}
