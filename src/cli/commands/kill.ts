import type { Command } from "commander";
import { KillFlagsResponseSchema, ReviveFlagsResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";

interface ReviveOptions extends WriteOptions {
  readonly tag?: string;
}

interface KillOptions extends ReviveOptions {
  readonly reason: string;
}

/** `kill` and `revive`. */
export function addKillCommands(program: Command, run: CommandRunner): void {
  const kill = program
    .command("kill [keys...]")
    .description("the panic button: the flags answer their off variant at once")
    .requiredOption("--reason <text>", "why; shown to everyone who looks at the flag")
    .option("--tag <tag>", "all flags with this tag", parseNonEmpty("--tag"));
  addWriteOptions(kill).action(run(killFlags));
  kill.addHelpText(
    "after",
    `
Examples:
  flagwire kill new-checkout --reason "payments fail, INC-42"
  flagwire kill --tag payments --reason "payments fail, INC-42"`,
  );
  const revive = program
    .command("revive [keys...]")
    .description("undo kill; all other settings are as they were")
    .option("--tag <tag>", "all flags with this tag", parseNonEmpty("--tag"));
  addWriteOptions(revive).action(run(reviveFlags));
}

async function killFlags(session: Session, keys: string[], options: KillOptions): Promise<void> {
  const remote = session.remote();
  const request = { ...toSelection(session, keys, options, "kill"), reason: options.reason };
  const response = await remote.call((call) => remote.admin.killFlags(request, call));
  if (session.output.json) return session.output.document(toDocument(KillFlagsResponseSchema, response));
  await sayWhich(
    session,
    { done: "killed", before: "was killed before", why: ", and stays so for its first reason" },
    response,
    options,
  );
}

async function reviveFlags(session: Session, keys: string[], options: ReviveOptions): Promise<void> {
  const remote = session.remote();
  const request = toSelection(session, keys, options, "revive");
  const response = await remote.call((call) => remote.admin.reviveFlags(request, call));
  if (session.output.json) return session.output.document(toDocument(ReviveFlagsResponseSchema, response));
  await sayWhich(session, { done: "revived", before: "was not killed", why: "" }, response, options);
}

function toSelection(session: Session, keys: readonly string[], options: ReviveOptions, verb: string) {
  if (keys.length === 0 && !options.tag) {
    throw usageFailure(`name the flags to ${verb}, or give --tag TAG; see "flagwire ${verb} --help"`);
  }
  return {
    environment: session.options.environment,
    flagKeys: [...keys],
    tag: options.tag ?? "",
    ...toWriteFields(session, options),
  };
}

interface Outcome {
  readonly flagKeys: readonly string[];
  readonly unchangedFlagKeys: readonly string[];
  readonly revision: bigint;
}

/** What was done, and of which flags it was so before. */
async function sayWhich(
  session: Session,
  words: { readonly done: string; readonly before: string; readonly why: string },
  { flagKeys, unchangedFlagKeys, revision }: Outcome,
  options: WriteOptions,
): Promise<void> {
  const { environment } = session.options;
  const unchanged = new Set(unchangedFlagKeys);
  const changed = flagKeys.filter((key) => !unchanged.has(key));
  const names = (keys: readonly string[]) => keys.map(printable).join(", ");
  const done = `${words.done} in ${environment}: ${names(changed)} ${revisionNote(revision, options)}`;
  if (changed.length > 0) await session.output.line(done);
  for (const key of unchangedFlagKeys)
    await session.output.line(`${printable(key)} ${words.before} in ${environment}${words.why}`);
}
