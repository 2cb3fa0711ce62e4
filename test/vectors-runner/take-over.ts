import { clone, create, equals } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { BadRequestSchema } from "../../gen/google/rpc/error_details_pb.js";
import { UsageProblem } from "./options.js";
import type { Vectors } from "./read-vectors.js";

type Admin = Client<typeof AdminService>;

/** Where the vectors go: nothing else in a server is evaluated there. */
export const ENVIRONMENT = "vectors";
const DESCRIPTION = "Made by `npm run vectors`, which replaces it.";
/** What marks the flags that a run made. */
const TAG = "evaluation-vectors";

/**
 * Makes room for the vectors: an environment with nothing else in it. Throws UsageProblem where the server has flags or an
 * environment of these names that no run of vectors made.
 */
export async function makeRoom(admin: Admin, files: readonly Vectors[]): Promise<void> {
  const { environments } = await admin.listEnvironments({});
  const environment = environments.find(({ name }) => name === ENVIRONMENT);
  if (environment !== undefined && environment.description !== DESCRIPTION) {
    throw new UsageProblem(`the server has an environment ${ENVIRONMENT} of its own; ${ADVICE}`);
  }
  const foreign = await foreignFlags(admin, files);
  if (foreign.length > 0) {
    const more = foreign.length > 5 ? ` and ${foreign.length - 5} more` : "";
    throw new UsageProblem(
      `the server has flags of its own of these keys: ${foreign.slice(0, 5).join(", ")}${more}; ${ADVICE}`,
    );
  }
  if (environment !== undefined) await admin.deleteEnvironment({ name: ENVIRONMENT });
  await admin.createEnvironment({ environment: { name: ENVIRONMENT, description: DESCRIPTION } });
}

const ADVICE =
  "nothing was changed. Use a fresh server: npx flagwire serve --listen 127.0.0.1:8014 --data /tmp/flagwire-vectors";

/** Flags of the vectors' keys that the server has with other contents, and that no run of vectors made. */
async function foreignFlags(admin: Admin, files: readonly Vectors[]): Promise<string[]> {
  const ours = new Map(files.flatMap(({ file }) => file.flags.map((flag) => [flag.key, flag])));
  const foreign: string[] = [];
  let pageToken = "";
  do {
    const page = await admin.listFlags({ pageSize: 1_000, pageToken });
    for (const flag of page.flags) {
      const same = ours.get(flag.key);
      if (same !== undefined && !flag.tags.includes(TAG) && !hasSameContents(flag, same)) foreign.push(flag.key);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return foreign;
}

function hasSameContents(flag: Flag, other: Flag): boolean {
  return equals(FlagSchema, contentsOf(flag), contentsOf(other));
}

/** A flag without what the server adds. */
function contentsOf(flag: Flag): Flag {
  const contents = clone(FlagSchema, flag);
  Object.assign(contents, { tags: [], createdBy: "", changedBy: "", revision: 0n });
  delete contents.createdAt;
  delete contents.changedAt;
  return contents;
}

/** What a server did with a file otherwise than it must, in sentences; empty if nothing. */
export async function takeOver(admin: Admin, { file, refused }: Vectors): Promise<string[]> {
  const tagged = clone(FlagFileSchema, file);
  for (const flag of tagged.flags) flag.tags = [...flag.tags, TAG];
  const mustRefuse = [...refused.flags, ...refused.segments].sort();
  if (mustRefuse.length === 0) {
    const refusal = await tryImport(admin, tagged, {});
    if (!Array.isArray(refusal)) return [`refuses the file: ${refusal}`];
    await kill(admin, file, refusal);
    return [];
  }
  const wrong: string[] = [];
  const whole = await tryImport(admin, tagged, { dryRun: true });
  if (Array.isArray(whole)) wrong.push("takes the file over whole, though it must refuse some of it");
  const keys = await tryImport(admin, tagged, { skipInvalid: true });
  if (!Array.isArray(keys)) return [...wrong, `refuses the file, with skip_invalid: ${keys}`];
  for (const key of mustRefuse) if (!keys.includes(key)) wrong.push(`takes over ${key}, which it must refuse`);
  for (const key of keys) if (!mustRefuse.includes(key)) wrong.push(`refuses ${key}, which is sound`);
  await kill(admin, file, keys);
  return wrong;
}

/** Kills what a file has killed: an import leaves that alone in flags which the server has already, of an earlier run. */
async function kill(admin: Admin, { targetings }: FlagFile, leftOut: readonly string[]): Promise<void> {
  const killed = targetings.filter((targeting) => targeting.killed !== undefined).map(({ flagKey }) => flagKey);
  const flagKeys = killed.filter((key) => !leftOut.includes(key));
  if (flagKeys.length === 0) return;
  await admin.killFlags({ environment: ENVIRONMENT, flagKeys, reason: "as in the vectors" });
}

/** The keys of what was left out, or why the file was refused. */
async function tryImport(
  admin: Admin,
  file: FlagFile,
  options: { readonly dryRun?: boolean; readonly skipInvalid?: boolean },
): Promise<string[] | string> {
  const itemCount = file.flags.length + file.targetings.length + file.segments.length + file.environments.length;
  const request = { file: create(FlagFileSchema, file), environment: ENVIRONMENT, itemCount, ...options };
  try {
    const answer = await admin.import(
      (async function* () {
        yield request;
      })(),
    );
    return [...new Set(answer.refused.map(({ key }) => key))];
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.InvalidArgument) throw error;
    const [first] = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    return first === undefined ? error.rawMessage : `${error.rawMessage} (${first.field}: ${first.description})`;
  }
}
