import type { IncomingMessage, ServerResponse } from "node:http";
import { Role } from "../../../gen/flagwire/v1/access_pb.js";
import type { Gate } from "../access/gate.js";
import { refuseEverywhere, refuseRole } from "../access/permit.js";
import { json, refuse, send } from "../http/routes.js";
import { isRefusal, type Refusal } from "../refusal.js";
import { clientCertificateOf } from "../tls/client-certificate.js";
import type { HttpRoutes, TransportOptions } from "../transport.js";
import type { CallMeters } from "./call-meters.js";
import { toExposition } from "./exposition.js";
import type { ProcessReport } from "./metric-report.js";

export interface MetricsRouteParts {
  readonly gate: Gate;
  readonly calls: CallMeters;
  /** What each process of the service counts. */
  readonly gather: () => Promise<readonly ProcessReport[]>;
}

const METRICS_PATH = "/metrics";

/**
 * Answers GET /metrics. It tells no flags, but the names of all environments, and how much goes on: so it is for those who may
 * read, everywhere. Without tokens it is as open as everything else.
 */
export function createMetricsRoute({ gate, calls, gather }: MetricsRouteParts, { log }: TransportOptions): HttpRoutes {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const page = await toExposition(await gather(), request.headers.accept ?? "");
      send(request, response, { status: 200, ...page });
    } catch (err) {
      log.error({ err }, "metrics cannot be given");
      send(request, response, json(500, "internal", "internal error; the server's log has the cause"));
    }
  };
  return (request, response) => {
    if (request.url?.split("?", 1)[0] !== METRICS_PATH) return false;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      send(request, response, json(405, "unimplemented", `${METRICS_PATH} answers GET only`));
      return true;
    }
    const refusal = refuseCaller(gate, request);
    if (refusal === undefined) void answer(request, response);
    else {
      calls.refused(refusal);
      if (refusal.code === "UNAUTHENTICATED") response.setHeader("www-authenticate", "Bearer");
      send(request, response, refuse(refusal.code === "UNAUTHENTICATED" ? 401 : 403, refusal));
    }
    return true;
  };
}

function refuseCaller(gate: Gate, request: IncomingMessage): Refusal | undefined {
  const { remoteAddress, remotePort } = request.socket;
  const header = (name: string): string | undefined => request.headers[name]?.toString();
  const identity = gate.identify({
    header,
    peer: `${remoteAddress}:${remotePort}`,
    certificate: clientCertificateOf(request.socket),
  });
  if (isRefusal(identity)) return identity;
  return refuseRole({ identity }, Role.READER) ?? refuseEverywhere({ identity });
}
