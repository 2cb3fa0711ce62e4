import { create } from "@bufbuild/protobuf";
import {
  type ImportResponse,
  RefusedItemSchema,
  type ResizedSegment,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import { CliFailure, ExitCode, usageFailure } from "../failure.js";
import type { RefusedFileItem } from "../files/decode-flag-file.js";
import { readFlagFile } from "../files/read-flag-file.js";
import { sendFlagFile } from "../files/send-flag-file.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { toWriteFields, type WriteOptions } from "../write-options.js";

export interface OfferOptions extends WriteOptions {
  readonly skipInvalid?: boolean;
  readonly force?: boolean;
}

/** What a server said to a file. */
export interface OfferedFile {
  readonly file: FlagFile;
  readonly response: ImportResponse;
}

/**
 * Sends a file to be imported, or tried in a dry run. Notes what is left out, and what those who sent it may not have meant.
 * Fails where something is refused that may not be left out.
 */
export async function offerFile(session: Session, path: string, options: OfferOptions): Promise<OfferedFile> {
  const { environment } = session.options;
  const content = await readFlagFile(path, session.io.stdin, environment);
  for (const warning of content.warnings) session.output.note(`warning: ${warning}`);
  if (content.refused.length > 0 && !options.skipInvalid) throw refuse(content.refused);
  const response = await sendFlagFile(session.remote(), session.io.stderr, content.file, {
    environment,
    skipInvalid: options.skipInvalid ?? false,
    force: options.force ?? false,
    ...toWriteFields(session, options),
  });
  for (const item of content.refused) response.refused.push(create(RefusedItemSchema, item));
  for (const item of response.refused) session.output.note(`left out: ${describeRefused(item)}`);
  if (response.retypedFlags.length > 0) {
    const keys = response.retypedFlags.join(", ");
    session.output.note(`warning: the type changed of ${keys}; callers that ask for the old one get their own default`);
  }
  const emptied = response.resizedSegments.filter(isEmptied);
  for (const segment of emptied) session.output.note(`warning: ${describeEmptied(segment)}`);
  return { file: content.file, response };
}

/** For `-f`: the last of several would win, and the others be left out without a word. */
export function oneFile(path: string, before: string | undefined): string {
  if (before !== undefined) throw usageFailure("-f is given twice; take one file after the other");
  return path;
}

export function isEmptied({ includedAfter, excludedAfter }: ResizedSegment): boolean {
  return includedAfter + excludedAfter === 0;
}

function describeEmptied({ key, environment, includedBefore, excludedBefore }: ResizedSegment): string {
  return `segment ${key} in ${environment} has no keys left; it had ${includedBefore + excludedBefore}`;
}

function refuse(refused: readonly RefusedFileItem[]): CliFailure {
  const keys = new Set(refused.map(({ key }) => key)).size;
  return new CliFailure(
    ExitCode.refused,
    `${counted(keys, "item")} of the file cannot be imported, so nothing was changed; mend the file, or add --skip-invalid to import the rest`,
    refused.map(describeRefused),
  );
}

function describeRefused({ key, field, description }: RefusedFileItem): string {
  return [key, field, description].filter((part) => part !== "").join(": ");
}
