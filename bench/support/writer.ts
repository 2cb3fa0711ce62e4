import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { switchedFlag } from "./many-flags.js";
import { monotonicMs } from "./monotonic.js";

/** Somebody who edits flags through the public API. */
export interface Writer extends Disposable {
  readonly admin: Client<typeof AdminService>;
  /** Switches `switch` to the other variant. */
  write(): Promise<Written>;
}

/** By the monotonic clock. */
export interface Written {
  readonly revision: number;
  readonly calledAtMs: number;
  /** By now it is durable. */
  readonly answeredAtMs: number;
}

export function openWriter(address: string, flagKey = switchedFlag): Writer {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const admin = createClient(AdminService, createGrpcTransport({ baseUrl, sessionManager }));
  let variant = "off";
  return {
    admin,
    async write() {
      variant = variant === "off" ? "on" : "off";
      const calledAtMs = monotonicMs();
      const { revision } = await admin.updateTargeting({
        targeting: { flagKey, default: { kind: { case: "variant", value: variant } } },
        updateMask: { paths: ["default"] },
      });
      return { revision: Number(revision), calledAtMs, answeredAtMs: monotonicMs() };
    },
    [Symbol.dispose]: () => sessionManager.abort(),
  };
}
