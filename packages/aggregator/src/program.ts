/** What the program `skybraid aggregator` needs beside the rest; kept apart, because it loads the client of the bus. */
export { type BusAggregator, type BusAggregatorOptions, startBusAggregator } from './bus/bus-aggregator.ts'
export { type AggregatorBusConfig, aggregatorBusConfigSchema } from './bus/bus-config.ts'
export { type BusAuth, startBusAuth, writeIssuer } from './bus-auth/bus-auth.ts'
export { type BusAuthConfig, busAuthConfigSchema } from './bus-auth/options.ts'
export { exportConfigSchema, servingConfigSchema } from './config.ts'
