import { create, fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type CreateFlagRequest,
  CreateFlagRequestSchema,
  CreateFlagResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagKind, FlagSchema, FlagType } from "../../../gen/flagwire/v1/flag_pb.js";
import type { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { usageFailure } from "../failure.js";
import { parseVariants, type TypeName } from "../parse-variants.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { kindName, typeName } from "./flag-summary.js";

export interface CreateOptions extends WriteOptions {
  readonly type?: TypeName;
  readonly kind?: "release" | "experiment" | "operational" | "permission";
  readonly owner?: string;
  readonly ticket?: string;
  readonly expiresAt?: Timestamp;
  readonly description?: string;
  readonly tag?: readonly string[];
  readonly variant?: readonly string[];
  readonly default?: string;
  readonly off?: string;
  readonly on?: boolean;
  readonly force?: boolean;
}

/** The options behind the fields that a server may complain about. */
export const createFields: FieldOptions = {
  "flag.key": "KEY",
  "flag.type": "--type",
  "flag.kind": "--kind",
  "flag.owner": "--owner",
  "flag.ticket": "--ticket",
  "flag.expires_at": "--expires-at",
  "flag.description": "--description",
  "flag.tags": "--tag",
  "flag.variants": "--variant",
  "targeting.default": "--default",
  "targeting.default.variant": "--default",
  "targeting.off_variant": "--off",
};

export async function createFlag(session: Session, key: string, options: CreateOptions): Promise<void> {
  const remote = session.remote();
  if (session.options.environmentGiven) {
    session.output.note(`a flag is created in every environment, not only in ${session.options.environment}`);
  }
  const request = { ...toCreateRequest(key, options), ...toWriteFields(session, options) };
  const response = await remote.call((call) => remote.admin.createFlag(request, call));
  if (session.output.json) return session.output.document(toDocument(CreateFlagResponseSchema, response));
  const flag = response.flag;
  const state = options.on ? "on in every environment" : "off in every environment";
  const what =
    flag === undefined ? "the flag" : `the ${kindName(flag.kind)} flag ${key} of type ${typeName(flag.type)}`;
  await session.output.line(`created ${what}, ${state} ${revisionNote(response.revision, options)}`);
  if (!options.on && !options.dryRun) session.output.note(`turn it on with "flagwire on ${key}"`);
}

/** What is missing stays missing: the server names all of it at once. */
export function toCreateRequest(key: string, options: CreateOptions): CreateFlagRequest {
  const flag = toFlag(key, options);
  return create(CreateFlagRequestSchema, {
    flag,
    targeting: toTargeting(flag, options),
    force: options.force ?? false,
  });
}

function toFlag(key: string, options: CreateOptions): Flag {
  const texts = options.variant ?? (options.type === "boolean" ? ["on=true", "off=false"] : []);
  const flag = create(FlagSchema, {
    key,
    type: options.type === undefined ? FlagType.UNSPECIFIED : FlagType[upper(options.type)],
    kind: options.kind === undefined ? FlagKind.UNSPECIFIED : FlagKind[upper(options.kind)],
    owner: options.owner ?? "",
    ticket: options.ticket ?? "",
    description: options.description ?? "",
    tags: [...(options.tag ?? [])],
  });
  for (const [name, value] of parseVariants(texts, options.type)) flag.variants[name] = fromJson(ValueSchema, value);
  if (options.expiresAt !== undefined) flag.expiresAt = options.expiresAt;
  return flag;
}

/** A boolean flag serves the variant that is true, and is off with the one that is false; others serve their first. */
function toTargeting(flag: Flag, options: CreateOptions): MessageInitShape<typeof TargetingSchema> {
  const boolean = (wanted: boolean) =>
    Object.keys(flag.variants).find((name) => flag.variants[name]?.kind.value === wanted);
  const isBoolean = flag.type === FlagType.BOOLEAN;
  const first = options.variant?.[0]?.split("=")[0];
  const served = options.default ?? (isBoolean ? boolean(true) : first);
  const off = options.off ?? (isBoolean ? boolean(false) : undefined);
  return {
    enabled: options.on ?? false,
    ...(off === undefined ? {} : { offVariant: off }),
    ...(served === undefined ? {} : { default: { kind: { case: "variant", value: served } } }),
  };
}

/** Reads an RFC 3339 time. A date alone is refused: midnight where? */
export function parseExpiry(text: string): Timestamp {
  try {
    return fromJson(TimestampSchema, text);
  } catch {
    throw usageFailure(`--expires-at ${JSON.stringify(text)} is not an RFC 3339 time such as 2027-01-31T00:00:00Z`);
  }
}

function upper<Text extends string>(text: Text): Uppercase<Text> {
  return text.toUpperCase() as Uppercase<Text>;
}
