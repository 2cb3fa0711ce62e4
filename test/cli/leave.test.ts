import { pino } from "pino";
import { expect, it } from "vitest";
import { leave } from "../../src/cli/leave.js";
import { createManualClock } from "../server/transport-support.js";

function service() {
  const events: string[] = [];
  const log = pino({}, { write: (line: string) => void events.push(JSON.parse(line).msg) });
  return { events, log, retire: () => events.push("retired") };
}

it("reports that it is not ready for the whole delay, and drains then", async () => {
  const clock = createManualClock();
  const leaving = service();
  let isTime = false;
  const left = leave(leaving, { drainDelayMs: 5_000 }, clock, leaving.log).then(() => {
    isTime = true;
  });
  expect(leaving.events).toEqual(["retired", "not ready any more; draining after the delay"]);
  clock.advance(4_999);
  await Promise.resolve();
  expect(isTime).toBe(false);
  clock.advance(1);
  await left;
  expect(leaving.events.at(-1)).toBe("draining");
});

it("drains at once without a delay", async () => {
  const leaving = service();
  await leave(leaving, { drainDelayMs: 0 }, createManualClock(), leaving.log);
  expect(leaving.events).toEqual(["draining"]);
});
