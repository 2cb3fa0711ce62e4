import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FlagSyncService } from "../../gen/flagd/sync/v1/sync_pb.js";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { openTestServer, type TestServer } from "../support/server.js";

// Tokens in the protocols that are not ours: flagd's services and OFREP.

let server: TestServer;
let admin: TestServer["admin"];
const bearers: Record<string, string> = {};

function headersOf(name: string | undefined): Record<string, string> {
  return name === undefined ? {} : { authorization: `Bearer ${bearers[name]}` };
}

beforeAll(async () => {
  server = await openTestServer();
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const setHeader = (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
    request.header.set("authorization", `Bearer ${bearer}`);
    return next(request as never);
  };
  const interceptors = [setHeader] as never;
  admin = createClient(AdminService, createGrpcTransport({ baseUrl: `http://${server.address}`, interceptors }));
  const wanted = { evaluator: Role.EVALUATOR, reader: Role.READER };
  for (const [name, role] of Object.entries(wanted)) {
    bearers[name] = (await admin.createToken({ token: { name, role, environments: ["staging"] } })).bearer;
  }
});

afterAll(() => server[Symbol.asyncDispose]());

const ofrep = (headers: Record<string, string>, path = "evaluate/flags") =>
  fetch(`http://${server.address}/ofrep/v1/${path}`, { method: "POST", headers, body: "{}" });

describe("OFREP", () => {
  test("takes no call without a token, and a key in X-API-Key for one", async () => {
    expect((await ofrep({})).status).toBe(401);
    expect((await ofrep(headersOf("evaluator"))).status).toBe(200);
    expect((await ofrep({ "x-api-key": bearers.evaluator ?? "" })).status).toBe(200);
    expect((await ofrep({ "x-api-key": "another" })).status).toBe(401);
  });

  test("answers 403 for an environment that the token is not for", async () => {
    expect((await ofrep({ ...headersOf("evaluator"), "flagwire-environment": "production" })).status).toBe(403);
    expect((await ofrep(headersOf("evaluator"), "evaluate/flags?environment=production")).status).toBe(403);
  });

  test("gives a ticket for its stream, which is no token, opens no other, and ends with the token", async () => {
    const { bearer, token } = await admin.createToken({
      token: { name: "page", role: Role.EVALUATOR, environments: ["staging"] },
    });
    const answer = await ofrep({ authorization: `Bearer ${bearer}` });
    const { eventStreams } = (await answer.json()) as { eventStreams: { endpoint: { requestUri: string } }[] };
    const uri = eventStreams[0]?.endpoint.requestUri ?? "";
    expect(uri).toContain("environment=staging");
    expect(uri).not.toContain(bearer.slice(-20));
    const url = `http://${server.address}${uri}`;
    const elsewhere = await fetch(url.replace("environment=staging", "environment=production"));
    const without = await fetch(`http://${server.address}/ofrep/v1/sse?environment=staging`);
    expect([elsewhere.status, without.status]).toEqual([401, 401]);
    // The environment beside the ticket is the one, whatever else names another.
    const stream = await fetch(url, { headers: { "flagwire-environment": "production" } });
    expect(stream.status).toBe(200);
    let isOver = false;
    const reading = (async () => {
      for await (const _ of stream.body ?? []);
      isOver = true;
    })();
    await admin.revokeToken({ id: token?.id ?? "" });
    await vi.waitFor(() => expect(isOver).toBe(true));
    await reading;
    expect((await fetch(url)).status).toBe(401);
  });
});

describe("flagd's services", () => {
  const resolve = (name: string | undefined, headers: Record<string, string> = {}) =>
    fetch(`http://${server.address}/flagd.evaluation.v2.Service/ResolveBoolean`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headersOf(name), ...headers },
      body: JSON.stringify({ flagKey: "none" }),
    });

  test("take tokens, of their environments only", async () => {
    expect((await resolve(undefined)).status).toBe(401);
    expect((await resolve("evaluator")).status).toBe(404);
    expect((await resolve("evaluator", { "flagd-selector": "flagSetId=production" })).status).toBe(403);
  });

  test("give definitions to readers, not to evaluators", async () => {
    const sync = createClient(FlagSyncService, createGrpcTransport({ baseUrl: `http://${server.address}` }));
    const fetchAll = (name: string) => sync.fetchAllFlags({}, { headers: headersOf(name) });
    await expect(fetchAll("evaluator")).rejects.toThrow("this needs the role reader; the token has evaluator");
    expect((await fetchAll("reader")).flagConfiguration).toBe('{"flags":{}}');
  });
});
