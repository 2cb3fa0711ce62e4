export { type ListenerStats, ListenProblem } from "./listener.js";
export { type FlagwireServer, openServer, type ServerAddress, type ServerOptions } from "./open-server.js";
export type { TransportLimits } from "./transport.js";
