import type { ServerResponse } from "node:http";
import { observedCallOf } from "../observe/observed-response.js";
import { REQUEST_ID_HEADER, requestIdOf } from "../request-id.js";

/** The id of a request that is no call of Connect's. From now on its response tells it, unless it has begun. */
export function nameResponse(response: ServerResponse): string {
  const told = response.getHeader(REQUEST_ID_HEADER);
  if (typeof told === "string") return told;
  const header = (name: string): string | undefined => response.req.headers[name]?.toString();
  const id = requestIdOf(observedCallOf(response) ?? { header, requestId: undefined });
  if (!response.headersSent) response.setHeader(REQUEST_ID_HEADER, id);
  return id;
}
