import { type Timestamp, timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { StaleFlag, VariantUsage } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Flag, FlagKind } from "../../../gen/flagwire/v1/flag_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode, usageFailure } from "../failure.js";
import { checkFolder } from "../scan/check-folder.js";
import { isTemporary } from "../scan/flag-standing.js";
import { parseChoices } from "../scan/parse-choices.js";
import { scanTree } from "../scan/scan-tree.js";
import type { Session } from "../session.js";
import { counted, toTable } from "../text.js";
import { parseCount } from "../write-options.js";
import { fetchFlags } from "./fetch-flags.js";
import { fetchUsage } from "./fetch-usage.js";
import { kindName } from "./flag-summary.js";
import { addExcludeOption } from "./scan.js";

const reasons = ["expired", "rolled-out", "not-evaluated", "not-changed", "not-referenced"] as const;
type Reason = (typeof reasons)[number];

interface StaleOptions {
  readonly failOn?: readonly Reason[];
  readonly days?: number;
  readonly code?: string;
  readonly exclude?: readonly string[];
}

/** A flag to clean up. `reasons` may have some that this version does not know. */
interface Stale {
  readonly key: string;
  readonly reasons: readonly string[];
  readonly kind: FlagKind;
  readonly owner: string;
  readonly ticket: string;
  readonly expiresAt?: Timestamp | undefined;
  readonly changedAt?: Timestamp | undefined;
  readonly lastUsedTime?: Timestamp | undefined;
  readonly servedVariant: string;
}

export function addStaleCommand(program: Command, run: CommandRunner): void {
  const command = program
    .command("stale")
    .description("flags that somebody should clean up, and why")
    .option(
      "--fail-on <reasons>",
      `exit with 1 where there are flags for such reasons: ${reasons.join(", ")}; several separated by commas, or repeated`,
      parseChoices("--fail-on", reasons),
    )
    .option(
      "--days <n>",
      "after how many days (default: 30 for rolled-out, 90 for not-evaluated and not-changed)",
      parseCount("--days", 36_500),
    )
    .option("--code <dir>", "look for the flags' keys in this folder too, as flagwire scan does");
  addExcludeOption(command)
    .action(run(listStale))
    .addHelpText(
      "after",
      `
expired         its expiry is over; the only reason for operational and
                permission flags, which are there to stay
rolled-out      a release that has served everyone the same for 30 days
not-evaluated   nobody asked for it for 90 days; told only where that long is
                known. Programs that report no usage are not seen
not-changed     neither it nor its settings were changed for 90 days
not-referenced  no code in --code DIR mentions it

Examples:
  flagwire stale --code src
  flagwire stale --fail-on expired,rolled-out --json`,
    );
}

async function listStale(session: Session, options: StaleOptions): Promise<void> {
  const { failOn = [], days = 0, code, exclude = [] } = options;
  if (code === undefined && exclude.length > 0) throw usageFailure("--exclude needs --code DIR");
  if (code === undefined && failOn.includes("not-referenced")) {
    throw usageFailure("--fail-on not-referenced needs --code DIR: where should they be mentioned?");
  }
  if (code !== undefined) await checkFolder("--code", code);
  const remote = session.remote();
  const { environment } = session.options;
  const request = { environment, rolledOutDays: days, idleDays: days };
  const { flags } = await remote.call((call) => remote.admin.listStaleFlags(request, call));
  const stale = code === undefined ? flags : await withUnreferenced(session, flags, code, exclude);
  await print(session, stale);
  await noteUsage(session);
  fail(stale, failOn);
}

async function withUnreferenced(
  session: Session,
  flags: readonly StaleFlag[],
  root: string,
  exclude: readonly string[],
): Promise<readonly Stale[]> {
  const unreferenced = await findUnreferenced(session, root, exclude);
  // The server tells it of the flags that it names itself.
  const { usages } = await fetchUsage(session, "");
  return addUnreferenced(flags, unreferenced, findLastUses(usages));
}

function findLastUses(usages: readonly VariantUsage[]): ReadonlyMap<string, Timestamp> {
  const last = new Map<string, Timestamp>();
  for (const { flagKey, lastUsedTime } of usages) {
    const before = last.get(flagKey);
    if (lastUsedTime === undefined) continue;
    if (before === undefined || timestampMs(before) < timestampMs(lastUsedTime)) last.set(flagKey, lastUsedTime);
  }
  return last;
}

/** The flags that were made to be removed, and that no text in a folder mentions. */
async function findUnreferenced(session: Session, root: string, exclude: readonly string[]): Promise<readonly Flag[]> {
  const { flags } = await fetchFlags(session);
  const left = new Map(flags.filter(isTemporary).map((flag) => [flag.key, flag]));
  let fileCount = 0;
  const files = scanTree(root, {
    isKnown: (key) => left.has(key),
    exclude,
    signal: session.signal,
    onSkipped: (path, why) => session.output.note(`${path} ${why}; what it mentions is not known`),
  });
  for await (const { found } of files) {
    fileCount++;
    for (const { key } of found) left.delete(key);
  }
  if (fileCount === 0) throw usageFailure(`--code ${root} has no texts; name the folder that the code is in`);
  return [...left.values()];
}

function addUnreferenced(
  flags: readonly StaleFlag[],
  unreferenced: readonly Flag[],
  lastUses: ReadonlyMap<string, Timestamp>,
): readonly Stale[] {
  const byKey = new Map<string, Stale>(flags.map((flag) => [flag.key, flag]));
  for (const flag of unreferenced) {
    const before = byKey.get(flag.key) ?? {
      ...flag,
      reasons: [],
      lastUsedTime: lastUses.get(flag.key),
      servedVariant: "",
    };
    byKey.set(flag.key, { ...before, reasons: [...before.reasons, "not-referenced"] });
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function print({ output, options }: Session, stale: readonly Stale[]): Promise<void> {
  if (output.json) return output.document(stale.map(toDocument));
  if (stale.length === 0) return output.note(`nothing to clean up in ${options.environment}`);
  const rows = stale.map((one) => [
    one.key,
    kindName(one.kind),
    one.reasons.join(", "),
    one.servedVariant,
    one.owner,
    toDay(one.expiresAt),
    toDay(one.changedAt),
    toDay(one.lastUsedTime),
    one.ticket,
  ]);
  const head = ["KEY", "KIND", "REASONS", "SERVES", "OWNER", "EXPIRES", "CHANGED", "LAST USED", "TICKET"];
  await output.raw(toTable(head, rows));
}

/** What is empty or not known is not there. */
function toDocument(one: Stale) {
  const { key, owner, ticket, servedVariant } = one;
  return {
    key,
    reasons: one.reasons,
    kind: kindName(one.kind),
    ...(owner !== "" && { owner }),
    ...(ticket !== "" && { ticket }),
    ...(one.expiresAt && { expiresAt: toText(one.expiresAt) }),
    ...(one.changedAt && { changedAt: toText(one.changedAt) }),
    ...(one.lastUsedTime && { lastUsedTime: toText(one.lastUsedTime) }),
    ...(servedVariant !== "" && { servedVariant }),
  };
}

/** Says since when it is known who asks for flags: before that has been long enough, nothing is `not-evaluated`. */
async function noteUsage({ output, options, remote: open }: Session): Promise<void> {
  const remote = open();
  const request = { environment: options.environment, pageSize: 1 };
  const { countedSince, reporters, usages } = await remote.call((call) => remote.admin.listUsage(request, call));
  if (reporters.length === 0 && usages.length === 0) {
    return output.note("nobody reports usage, so nothing is said of flags that are not evaluated");
  }
  if (countedSince !== undefined) output.note(`usage is known since ${toText(countedSince)}`);
}

function fail(stale: readonly Stale[], failOn: readonly string[]): void {
  const lines = stale.flatMap(({ key, reasons: of }) => {
    const wrong = of.filter((reason) => failOn.includes(reason));
    return wrong.length === 0 ? [] : [`${key}: ${wrong.join(", ")}`];
  });
  if (lines.length === 0) return;
  throw new CliFailure(ExitCode.no, `${counted(lines.length, "flag")} to clean up:`, lines);
}

function toText(time: Timestamp): string {
  return timestampDate(time).toISOString();
}

function toDay(time: Timestamp | undefined): string {
  return time === undefined ? "" : toText(time).slice(0, 10);
}
