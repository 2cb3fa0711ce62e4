import type { ChildProcess } from "node:child_process";
import type { Client } from "@connectrpc/connect";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { switchedFlag } from "../support/many-flags.js";
import type { MirrorAnswer } from "../support/mirror-process.js";
import { monotonicMs } from "../support/monotonic.js";
import { ask } from "../support/processes.js";

/** The times of one write, in milliseconds. */
export interface WriteTimes {
  /** From the call until its answer: by then it is durable. */
  readonly answered: number;
  /** From the call until the mirror answered differently. */
  readonly seenAfterCall: number;
  /** From the answer until the mirror answered differently; below 0 where the mirror was first. */
  readonly seenAfterAnswer: number;
}

/** Switches the flag, and waits for the writer's answer and for the mirror's. */
export async function timeWrite(
  admin: Client<typeof AdminService>,
  mirror: ChildProcess,
  on: boolean,
): Promise<WriteTimes> {
  const seen = ask<MirrorAnswer>(mirror, undefined);
  const calledAt = monotonicMs();
  const { revision } = await admin.updateTargeting({
    targeting: { flagKey: switchedFlag, default: { kind: { case: "variant", value: on ? "on" : "off" } } },
    updateMask: { paths: ["default"] },
  });
  const answeredAt = monotonicMs();
  const answer = await seen;
  if (answer.value !== on || answer.revision !== Number(revision)) {
    throw new Error(`the mirror answered ${answer.value} at ${answer.revision}, not ${on} at ${revision}`);
  }
  return {
    answered: answeredAt - calledAt,
    seenAfterCall: answer.atMs - calledAt,
    seenAfterAnswer: answer.atMs - answeredAt,
  };
}
