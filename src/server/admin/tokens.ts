import { clone, create } from "@bufbuild/protobuf";
import { Role, StoredTokenSchema, type Token, TokenSchema } from "../../../gen/flagwire/v1/access_pb.js";
import {
  type AdminService,
  CreateTokenRequestSchema,
  CreateTokenResponseSchema,
  ListTokensResponseSchema,
  RevokeTokenRequestSchema,
  RevokeTokenResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { tokenId } from "../../store/index.js";
import { createBearer, digestSecret, toBearerText } from "../access/token-secret.js";
import { environmentNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { Violations } from "../validate/violations.js";
import { type Admin, writeFor } from "./admin.js";
import { putToken, remove } from "./records.js";

type Handlers = ServiceHandlers<typeof AdminService>;

/** How many tokens of one name may be live: one, and the one that takes its place. */
const LIVE_OF_ONE_NAME = 2;

export function tokenHandlers(admin: Admin): Pick<Handlers, "createToken" | "listTokens" | "revokeToken"> {
  return {
    createToken: createToken(admin),
    listTokens: () => {
      const { catalog, revision } = admin.head;
      return create(ListTokensResponseSchema, { tokens: allTokens(catalog).sort(byNameAndAge), revision });
    },
    revokeToken: revokeToken(admin),
  };
}

function createToken(admin: Admin): Handlers["createToken"] {
  return (request, call) => {
    const bearer = createBearer();
    const { name = "", role = Role.UNSPECIFIED, environments = [], expiresAt } = request.token ?? {};
    const token = create(TokenSchema, {
      id: bearer.id,
      name,
      role,
      environments: [...new Set(environments)],
      ...(expiresAt && { expiresAt }),
    });
    const stored = create(StoredTokenSchema, { token, secretSha256: digestSecret(bearer.secret) });
    return writeFor(admin, CreateTokenRequestSchema, request, call, {
      draft: (catalog) =>
        checkToken(token, catalog, admin.writer.clock.now()) ?? {
          changes: [putToken(stored)],
          reads: "all",
          brokenReason: "TOKEN_INVALID",
        },
      answer: (catalog, revision, earlier) => {
        if (earlier !== undefined) return shownOnce;
        const kept = catalog.token(token.id)?.token ?? token;
        const isDryRun = revision === 0n;
        return create(CreateTokenResponseSchema, {
          token: kept,
          bearer: isDryRun ? "" : toBearerText(bearer),
          revision,
        });
      },
    });
  };
}

function checkToken(token: Token, catalog: Catalog, nowMs: number): Refusal | undefined {
  const violations = new Violations();
  if (token.name.trim() === "") violations.add("token.name", "is required");
  else violations.label("token.name", token.name);
  if (token.role === Role.UNSPECIFIED || Role[token.role] === undefined) {
    violations.add("token.role", "is required: evaluator, reader, operator, editor or admin");
  }
  if (token.environments.length > contractLimits.tokenEnvironments) {
    violations.add(
      "token.environments",
      `has ${token.environments.length} entries; ${contractLimits.tokenEnvironments} is the limit`,
    );
  }
  if (token.role === Role.ADMIN && token.environments.length > 0) {
    violations.add("token.environments", "an admin's rights concern all environments");
  }
  if (token.expiresAt !== undefined && Number(token.expiresAt.seconds) * 1_000 <= nowMs) {
    violations.add("token.expires_at", "is in the past");
  }
  if (violations.list.length > 0) return invalidArgument(violations.list);
  for (const name of token.environments) if (catalog.environment(name) === undefined) return environmentNotFound(name);
  const live = allTokens(catalog).filter((other) => other.name === token.name && !isExpired(other, nowMs));
  if (live.length >= LIVE_OF_ONE_NAME) return nameTaken(token.name);
  if (catalog.tokenIds().length >= contractLimits.tokens) {
    const message = `there are ${contractLimits.tokens} tokens, which is the limit; revoke some`;
    return new Refusal("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS", message);
  }
  return undefined;
}

function revokeToken(admin: Admin): Handlers["revokeToken"] {
  return (request, call) =>
    writeFor(admin, RevokeTokenRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.token(request.id) === undefined) return tokenNotFound(request.id);
        if (isLastAdmin(request.id, catalog, admin.writer.clock.now())) return lastAdmin;
        return { changes: [remove(tokenId(request.id))], reads: "all", brokenReason: "TOKEN_INVALID" };
      },
      answer: (_catalog, revision) => create(RevokeTokenResponseSchema, { revision }),
    });
}

/** Those that have expired count among the others: as long as there are any, nobody comes in without one. */
function isLastAdmin(id: string, catalog: Catalog, nowMs: number): boolean {
  const isLiveAdmin = (token: Token) => token.role === Role.ADMIN && !isExpired(token, nowMs);
  const tokens = allTokens(catalog);
  const [first, ...more] = tokens.filter(isLiveAdmin);
  return tokens.length > 1 && first?.id === id && more.length === 0;
}

/** Copies, without what is kept of their secrets. */
function allTokens(catalog: Catalog): Token[] {
  return catalog.tokenIds().flatMap((id) => {
    const token = catalog.token(id)?.token;
    return token === undefined ? [] : [clone(TokenSchema, token)];
  });
}

function isExpired({ expiresAt }: Token, nowMs: number): boolean {
  return expiresAt !== undefined && Number(expiresAt.seconds) * 1_000 <= nowMs;
}

function byNameAndAge(one: Token, other: Token): number {
  if (one.name !== other.name) return one.name < other.name ? -1 : 1;
  return Number((one.createdAt?.seconds ?? 0n) - (other.createdAt?.seconds ?? 0n));
}

const shownOnce = new Refusal(
  "ALREADY_EXISTS",
  "TOKEN_SHOWN_ONCE",
  "an earlier attempt has created the token, and its secret is not kept; revoke it and create another",
);

const lastAdmin = new Refusal(
  "FAILED_PRECONDITION",
  "LAST_ADMIN_TOKEN",
  "this is the last admin token, and without one nobody could manage the others; create another one first, or revoke the others",
);

function nameTaken(name: string): Refusal {
  const message = `two live tokens have the name ${JSON.stringify(name)} already, one to take the other's place; revoke one first`;
  return new Refusal("FAILED_PRECONDITION", "TOKEN_NAME_TAKEN", message);
}

function tokenNotFound(id: string): Refusal {
  return new Refusal("NOT_FOUND", "TOKEN_NOT_FOUND", `there is no token ${JSON.stringify(id)}`, {
    metadata: { token_id: id },
  });
}
