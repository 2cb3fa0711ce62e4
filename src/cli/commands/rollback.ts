import type { Command } from "commander";
import { type RollbackResponse, RollbackResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Change } from "../../../gen/flagwire/v1/history_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import {
  addWriteOptions,
  parseNonEmpty,
  parseRevision,
  revisionNote,
  toWriteFields,
  type WriteOptions,
} from "../write-options.js";
import { describeDifferences } from "./change-details.js";
import { describeChange } from "./change-summary.js";
import { tellImpacts } from "./tell-impacts.js";

interface RollbackOptions extends WriteOptions {
  readonly flag?: string;
}

const maximumDetails = 10;
const maximumNamed = 5;
const budgetMs = 60_000;

export function addRollbackCommand(program: Command, run: CommandRunner): void {
  const rollback = program
    .command("rollback")
    .argument("<revision>", "what to go back to: the state after this revision", parseRevision)
    .description("make flags, settings and segments as they were; of all environments unless --env names one")
    .option("--flag <key>", "only this flag and its settings", parseNonEmpty("--flag"));
  addWriteOptions(rollback).action(run(rollBack, { to_revision: "REVISION", flag_key: "--flag" }));
  rollback.addHelpText(
    "after",
    `
It is a revision like any other, so a rollback of the rollback undoes it. Flags that are killed stay so, and none is killed
by it; environments and tokens stay. With --env, the flags themselves stay too.

Examples:
  flagwire rollback 12 --dry-run
  flagwire rollback 12 --flag new-checkout --comment "INC-42"
  flagwire rollback 12 --env production`,
  );
}

async function rollBack(session: Session, toRevision: bigint, options: RollbackOptions): Promise<void> {
  const remote = session.remote();
  const { environment, environmentNamed } = session.options;
  const request = {
    toRevision,
    flagKey: options.flag ?? "",
    environment: environmentNamed ? environment : "",
    ...toWriteFields(session, options),
  };
  await remote.reach();
  const response = await remote.call((call) => remote.admin.rollback(request, call), budgetMs);
  noteKilled(session, response.changes);
  noteSkipped(session, toRevision, response.skippedEnvironments);
  if (session.output.json) return session.output.document(toDocument(RollbackResponseSchema, response));
  const scope = `${request.flagKey && ` ${request.flagKey}`}${request.environment && ` in ${request.environment}`}`;
  for (const line of describe(response, `${scope} to revision ${toRevision}`, options)) await session.output.line(line);
  if (options.dryRun && response.changes.length + response.omittedChanges > 0) {
    await tellImpacts(session, response.impacts);
  }
}

/** `what` is such as ` new-checkout in production to revision 12`. */
function describe(response: RollbackResponse, what: string, options: RollbackOptions): readonly string[] {
  const { changes, omittedChanges, revision } = response;
  const count = changes.length + omittedChanges;
  if (count === 0) return [`there is nothing to roll back${what} ${revisionNote(revision, options)}`];
  const further = count - Math.min(changes.length, maximumDetails);
  return [
    `rolled back${what}: ${counted(count, "change")} ${revisionNote(revision, options)}`,
    ...changes
      .slice(0, maximumDetails)
      .flatMap((change) => [
        `  ${printable(describeChange(change))}`,
        ...describeDifferences([change], { maxLines: maximumDetails, isShort: true }).map((line) => `      ${line}`),
      ]),
    ...(further > 0 ? [`  and ${further} more`] : []),
  ];
}

export function noteKilled(session: Session, changes: readonly Change[]): void {
  const killed = changes.flatMap(({ after }) => {
    const targeting = after?.kind.case === "targeting" ? after.kind.value : undefined;
    return targeting?.killed === undefined ? [] : [`${targeting.flagKey} in ${targeting.environment}`];
  });
  if (killed.length === 0) return;
  const more = killed.length > maximumNamed ? ` and ${killed.length - maximumNamed} more` : "";
  session.output.note(`still killed, until "flagwire revive": ${killed.slice(0, maximumNamed).join(", ")}${more}`);
}

function noteSkipped(session: Session, revision: bigint, names: readonly string[]): void {
  if (names.length === 0) return;
  const more = names.length > maximumNamed ? ` and ${names.length - maximumNamed} more` : "";
  const list = `${names.slice(0, maximumNamed).join(", ")}${more}`;
  session.output.note(`left as they are, because they were not there at revision ${revision}: ${list}`);
}
