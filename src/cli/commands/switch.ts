import type { Command } from "commander";
import { UpdateTargetingResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { withSimilarKeys } from "./similar-keys.js";
import { tellImpacts } from "./tell-impacts.js";

/** `on` and `off`. */
export function addSwitchCommands(program: Command, run: CommandRunner): void {
  addWriteOptions(program.command("on <key>").description("enable a flag in the environment")).action(
    run((session, key: string, options: WriteOptions) => switchFlag(session, key, true, options)),
  );
  addWriteOptions(program.command("off <key>").description("disable a flag in the environment")).action(
    run((session, key: string, options: WriteOptions) => switchFlag(session, key, false, options)),
  );
}

async function switchFlag(session: Session, key: string, enabled: boolean, options: WriteOptions): Promise<void> {
  const remote = session.remote();
  const { environment } = session.options;
  const request = {
    environment,
    targeting: { flagKey: key, enabled },
    updateMask: { paths: ["enabled"] },
    ...toWriteFields(session, options),
  };
  const response = await withSimilarKeys(session, key, () =>
    remote.call((call) => remote.admin.updateTargeting(request, call)),
  );
  if (response.targeting?.killed !== undefined) {
    session.output.note(`${key} is killed in ${environment} and stays so until "flagwire revive ${key}"`);
  }
  if (session.output.json) return session.output.document(toDocument(UpdateTargetingResponseSchema, response));
  await session.output.line(
    `${key} is ${enabled ? "on" : "off"} in ${environment} ${revisionNote(response.revision, options)}`,
  );
  if (options.dryRun) await tellImpacts(session, response.impacts);
}
