import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type Mirror, type MirrorOptions, openMirror } from "../../src/client/index.js";
import { openTestServer, type TestServer } from "../support/server.js";

/**
 * A server with flags, and a mirror of it. `open` is on and `shut` off for all; `pro` is on for the plan `pro`; `button` is
 * `blue`, and `red` for the plan `pro`; `moving` is what `serve` says, and off at first.
 */
export interface FlagService extends AsyncDisposable {
  readonly server: TestServer;
  readonly mirror: Mirror;
  /** A mirror that has nothing yet, and never will. */
  readonly unready: Mirror;
  /** Resolves when the mirror has it. */
  serve(variant: "on" | "off"): Promise<void>;
}

export async function openFlagService(options: MirrorOptions = {}): Promise<FlagService> {
  const server = await openTestServer();
  const { admin } = server;
  const onOff = { on: { kind: bool(true) }, off: { kind: bool(false) } };
  const pro = {
    id: "pro",
    condition: {
      kind: {
        case: "match" as const,
        value: { attribute: "plan", operator: Operator.IN, values: [{ kind: text("pro") }] },
      },
    },
  };
  const boolean = async (key: string, served: string, proServed = served): Promise<void> => {
    await admin.createFlag({ flag: { key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants: onOff } });
    const rules = served === proServed ? [] : [{ ...pro, serve: { kind: variant(proServed) } }];
    await admin.updateTargeting({
      targeting: { flagKey: key, enabled: true, offVariant: "off", rules, default: { kind: variant(served) } },
    });
  };
  await boolean("open", "on");
  await boolean("shut", "off");
  await boolean("pro", "off", "on");
  await boolean("moving", "off");
  const colors = { blue: { kind: text("#00f") }, red: { kind: text("#f00") } };
  await admin.createFlag({
    flag: { key: "button", type: FlagType.STRING, kind: FlagKind.OPERATIONAL, variants: colors },
  });
  const rules = [{ ...pro, serve: { kind: variant("red") } }];
  const { revision } = await admin.updateTargeting({
    targeting: { flagKey: "button", enabled: true, rules, default: { kind: variant("blue") } },
  });
  const mirror = await openMirror({ address: server.address, reportUsage: false, ...options });
  await mirror.waitFor(revision);
  const unready = await openMirror({ address: server.address, environment: "nowhere", waitForReady: false });
  return {
    server,
    mirror,
    unready,
    async serve(served) {
      const targeting = { flagKey: "moving", enabled: true, offVariant: "off", default: { kind: variant(served) } };
      await mirror.waitFor((await admin.updateTargeting({ targeting })).revision);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([mirror.close(), unready.close()]);
      await server[Symbol.asyncDispose]();
    },
  };
}

const bool = (value: boolean) => ({ case: "boolValue" as const, value });
const text = (value: string) => ({ case: "stringValue" as const, value });
const variant = (value: string) => ({ case: "variant" as const, value });
