import type { Command } from "commander";
import {
  type UpdateTargetingResponse,
  UpdateTargetingResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { invariant } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { parseRollout, type WantedRollout } from "../parse-rollout.js";
import { planRollout } from "../plan-rollout.js";
import { callBudgetMs } from "../remote.js";
import { refusalReason } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { describeServe, stateOf } from "./flag-summary.js";
import { holdsForEveryone } from "./holds-for-everyone.js";
import { withSimilarKeys } from "./similar-keys.js";
import { tellImpacts } from "./tell-impacts.js";

interface RolloutOptions extends WriteOptions {
  readonly bucketBy?: string;
}

/** How often the plan is made anew because somebody else changed the flag meanwhile. */
const maximumAttempts = 4;

export function addRolloutCommand(program: Command, run: CommandRunner): void {
  const command = program
    .command("rollout <key> <shares>")
    .description("serve variants to shares of the callers by default")
    .option("--bucket-by <attribute>", "the attribute that is hashed (default: as it is now, else the targeting key)");
  addWriteOptions(command).action(run(rollOut));
  command.addHelpText(
    "after",
    `
Percentages have up to three decimals; shares sum to 100. Growing a share moves nobody who has it.

Examples:
  flagwire rollout new-checkout 25%
  flagwire rollout colour red=33.333,blue=66.667 --bucket-by companyId`,
  );
}

async function rollOut(session: Session, key: string, shares: string, options: RolloutOptions): Promise<void> {
  const wanted = parseRollout(shares);
  const { environment } = session.options;
  const response = await withSimilarKeys(session, key, () => updateUntilSettled(session, key, wanted, options));
  const state = stateOf(response.targeting);
  if (state === "off") session.output.note(`${key} is off in ${environment}; turn it on with "flagwire on ${key}"`);
  if (state === "killed")
    session.output.note(`${key} is killed in ${environment}; "flagwire revive ${key}" undoes that`);
  const shadowing = response.targeting?.rules.find(({ condition }) => holdsForEveryone(condition));
  if (shadowing !== undefined) {
    session.output.note(
      `${key} never comes to its default: rule ${shadowing.id} holds for everyone; change it with "flagwire apply"`,
    );
  }
  if (session.output.json) return session.output.document(toDocument(UpdateTargetingResponseSchema, response));
  await session.output.line(
    `${key} serves ${describeServe(response.targeting?.default)} by default in ${environment} ${revisionNote(response.revision, options)}`,
  );
  if (options.dryRun) await tellImpacts(session, response.impacts);
}

/** The plan depends on what was read, so it is only written onto that; a change in between means planning anew. */
async function updateUntilSettled(
  session: Session,
  key: string,
  wanted: WantedRollout,
  options: RolloutOptions,
): Promise<UpdateTargetingResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readAndUpdate(session, key, wanted, options);
    } catch (error) {
      // Not by its code alone: a connection that breaks can look like ABORTED.
      const conflict = refusalReason(error) === "REVISION_CONFLICT";
      if (!conflict || options.expectedRevision !== undefined || attempt === maximumAttempts) throw error;
    }
  }
}

async function readAndUpdate(
  session: Session,
  key: string,
  wanted: WantedRollout,
  options: RolloutOptions,
): Promise<UpdateTargetingResponse> {
  const remote = session.remote();
  const { environment } = session.options;
  const { flag, targetings, revision } = await remote.call((call) => remote.admin.getFlag({ key }, call), 2_000);
  invariant(flag !== undefined, "GetFlag answers with the flag");
  const current = targetings.find((targeting) => targeting.environment === environment);
  const rollout = planRollout(flag, current, wanted, options.bucketBy);
  const request = {
    environment,
    targeting: { flagKey: key, default: { kind: { case: "rollout" as const, value: rollout } } },
    updateMask: { paths: ["default"] },
    ...toWriteFields(session, { expectedRevision: revision, ...options }),
  };
  return remote.call((call) => remote.admin.updateTargeting(request, call), options.dryRun ? callBudgetMs : 2_000);
}
