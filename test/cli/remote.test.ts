import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import type { Clock } from "../../src/base/index.js";
import { callBudgetMs, openRemote } from "../../src/cli/remote.js";

/** Time that passes only when it is told to. */
function manualClock(): Clock & { pass(ms: number): void } {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    after(_delayMs, action) {
      queueMicrotask(action);
      return () => undefined;
    },
    pass(ms) {
      nowMs += ms;
    },
  };
}

function open(clock: Clock) {
  const { signal } = new AbortController();
  return openRemote({ address: "127.0.0.1:1", token: undefined, author: "test", signal, clock });
}

/** Counts attempts, each of which takes so long and fails with the error. */
async function attempts(tookMs: number, error: ConnectError): Promise<(number | undefined)[]> {
  const clock = manualClock();
  const remote = open(clock);
  const timeouts: (number | undefined)[] = [];
  const call = remote.call(async ({ timeoutMs }) => {
    timeouts.push(timeoutMs);
    clock.pass(tookMs);
    throw error;
  });
  await expect(call).rejects.toBe(error);
  remote.close();
  return timeouts;
}

const away = new ConnectError("away", Code.Unavailable);

it("a call is made once more where the server was not available", async () => {
  expect(await attempts(1_000, away)).toEqual([callBudgetMs, callBudgetMs - 1_000]);
});

it("a call is made once more where the connection was ending", async () => {
  const refused = new ConnectError("Stream closed with error code NGHTTP2_REFUSED_STREAM", Code.Internal);
  expect(await attempts(1_000, refused)).toHaveLength(2);
});

it("a call is not made again without time left, which would be without a deadline", async () => {
  expect(await attempts(callBudgetMs - 100, away)).toEqual([callBudgetMs]);
  expect(await attempts(callBudgetMs + 100, away)).toEqual([callBudgetMs]);
});

it("a call is not made again after any other refusal", async () => {
  expect(await attempts(10, new ConnectError("no", Code.InvalidArgument))).toHaveLength(1);
});
