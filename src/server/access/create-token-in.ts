import { create } from "@bufbuild/protobuf";
import type { Token } from "../../../gen/flagwire/v1/access_pb.js";
import { CreateTokenRequestSchema, type CreateTokenResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Clock, systemRandom } from "../../base/index.js";
import type { Store } from "../../store/index.js";
import { createWatchHub } from "../../watch/index.js";
import { tokenHandlers } from "../admin/tokens.js";
import { Writer } from "../admin/writer.js";
import { noContexts } from "../contexts/kept-contexts.js";
import type { Call } from "../handlers.js";
import { isEncoded } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import { Head } from "../state/head.js";

/** Who works on a data directory itself, and may do what its owner may. */
export interface OfflineAuthor {
  readonly name: string;
  readonly comment: string;
  readonly dryRun: boolean;
}

/**
 * Creates a token in a store that nobody serves: the first one of a server that others can reach, or one more where all
 * admins' are lost.
 */
export async function createTokenIn(
  store: Store,
  clock: Clock,
  token: Pick<Token, "name" | "role" | "environments" | "expiresAt">,
  { name, comment, dryRun }: OfflineAuthor,
): Promise<OrRefusal<CreateTokenResponse>> {
  const head = await Head.open(store, createWatchHub({ clock, random: systemRandom }));
  try {
    const { createToken } = tokenHandlers({ head, writer: new Writer(head, clock), contexts: noContexts });
    const call: Call = {
      signal: new AbortController().signal,
      peer: "offline",
      header: (header) => (header === "flagwire-author" ? name : undefined),
    };
    const answer = await createToken(create(CreateTokenRequestSchema, { token, comment, dryRun }), call);
    return isRefusal(answer) || !isEncoded(answer) ? answer : answer.message;
  } finally {
    await head.close();
  }
}
