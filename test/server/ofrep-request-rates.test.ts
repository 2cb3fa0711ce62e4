import { describe, expect, it } from "vitest";
import { RequestRates } from "../../src/server/ofrep/request-rates.js";
import { completeWebOptions } from "../../src/server/web-options.js";
import { openTestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { ask, BULK, EVENTS } from "./ofrep-support.js";

describe("a rate", () => {
  it("lets so many come at once, then one for each share of a second", async () => {
    const clock = new VirtualClock();
    const rates = new RequestRates({ perSecond: 4, clock });
    const take = () => rates.take("192.0.2.1");
    expect([take(), take(), take(), take(), take()]).toEqual([0, 0, 0, 0, 250]);
    await clock.advance(249);
    expect(take()).toBe(1);
    await clock.advance(1);
    expect([take(), take()]).toEqual([0, 250]);
    await clock.advance(60_000);
    expect([take(), take(), take(), take(), take()]).toEqual([0, 0, 0, 0, 250]);
  });

  it("below one a second lets one come, then one in so long", async () => {
    const clock = new VirtualClock();
    const rates = new RequestRates({ perSecond: 0.1, clock });
    expect([rates.take("192.0.2.1"), rates.take("192.0.2.1")]).toEqual([0, 10_000]);
    await clock.advance(10_000);
    expect(rates.take("192.0.2.1")).toBe(0);
  });

  it("whose shares of a second add up to more than one lets as many come", () => {
    const rates = new RequestRates({ perSecond: 7, clock: new VirtualClock() });
    const taken = Array.from({ length: 8 }, () => rates.take("192.0.2.1"));
    expect(taken.slice(0, 7)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(taken[7]).toBeGreaterThan(0);
  });

  it.each([
    ["192.0.2.1", "192.0.2.2", false],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.2", false],
    ["2001:db8:1:2::1", "2001:db8:1:2:a:b:c:d", true],
    ["2001:db8::1", "2001:db8:0:0:9::", true],
    ["2001:db8:1:2::1", "2001:db8:1:3::1", false],
    ["::1", "::2", true],
  ])("is shared by %s and %s: %s", (one, other, isOne) => {
    const rates = new RequestRates({ perSecond: 1, clock: new VirtualClock() });
    expect(rates.take(one)).toBe(0);
    expect(rates.take(other) > 0).toBe(isOne);
  });

  it("forgets who asked longest ago where there are too many", () => {
    const rates = new RequestRates({ perSecond: 1, clock: new VirtualClock(), maxClients: 2 });
    for (const client of ["a", "b", "c"]) rates.take(client);
    expect(rates.take("b")).toBeGreaterThan(0);
    expect(rates.take("c")).toBeGreaterThan(0);
    expect(rates.take("a")).toBe(0);
  });
});

describe("a server with a rate", () => {
  it("answers 429 with when to come back, for every OFREP request and nothing else", async () => {
    const clock = new VirtualClock();
    await using server = await openTestServer({ clock, web: { ofrepRequestsPerSecond: 0.4 } });
    expect((await ask(server, BULK)).status).toBe(200);
    const refused = await ask(server, `${BULK}/a`);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("3");
    expect(refused.body).toEqual({ errorDetails: "too many requests; try again in 3 s" });
    expect((await fetch(`http://${server.address}${EVENTS}`)).status).toBe(429);
    expect((await server.json("flagwire.v1.EvaluationService/BulkEvaluate", {})).status).toBe(200);
    await clock.advance(2_500);
    expect((await ask(server, BULK)).status).toBe(200);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("refuses %d at the start", async (ofrepRequestsPerSecond) => {
    expect(() => completeWebOptions({ ofrepRequestsPerSecond })).toThrow("ofrepRequestsPerSecond");
  });
});
