import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { putEnvironment, putFlag, putTargeting } from "../../src/server/admin/records.js";
import { Head } from "../../src/server/state/head.js";
import { openMemoryStore, type RecordChange } from "../../src/store/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { booleanFlag } from "./admin-support.js";

it("a kill and a revival are urgent news, in their environment alone, and nothing else is", async () => {
  const store = await openMemoryStore();
  const hub = createWatchHub({ clock: systemClock, random: systemRandom });
  const told: string[] = [];
  const publish: WatchHub["publish"] = (environment, publication) => {
    told.push(`${publication.position.revision} ${environment} ${publication.isUrgent}`);
    hub.publish(environment, publication);
  };
  const head = await Head.open(store, { ...hub, publish });
  onTestFinished(async () => {
    await head.close();
    await store.close();
  });
  const commit = async (...changes: RecordChange[]) => {
    const result = await store.commit({ timeMs: 1, author: "", comment: "", changes, preconditions: [] });
    if (result.kind === "committed") await head.reached(result.revision);
  };
  const settings = (init: object = {}) =>
    putTargeting(create(TargetingSchema, { environment: "production", flagKey: "a", ...init }));
  const killed = { reason: "INC-1" };
  const environments = ["production", "staging"].map((name) => putEnvironment(create(EnvironmentSchema, { name })));
  await commit(...environments, putFlag(create(FlagSchema, booleanFlag("a"))), settings());
  await commit(settings({ enabled: true }));
  await commit(settings({ enabled: true, killed }));
  await commit(settings({ enabled: false, killed }));
  await commit(settings({ enabled: false }));
  expect(told.filter((line) => line.includes("production"))).toEqual([
    "2 production false",
    "3 production true",
    "4 production false",
    "5 production true",
  ]);
  expect(told.filter((line) => line.includes("staging true"))).toEqual([]);
});
