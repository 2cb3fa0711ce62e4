import { readdirSync, readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Context } from "../../src/engine/index.js";

/** One question and its answer, as test/vectors/README.md describes them. */
export interface VectorCase {
  readonly flagKey: string;
  readonly context: Context;
  readonly reason: string;
  readonly value?: JsonValue;
  readonly variant?: string;
  readonly ruleId?: string;
  readonly prerequisiteKey?: string;
  readonly errorCode?: string;
  readonly metadata?: JsonValue;
}

export interface VectorFile {
  readonly name: string;
  readonly file: FlagFile;
  readonly cases: readonly VectorCase[];
}

/** What a host answers, in the form of a case; what is absent is undefined. */
export type Answer = Omit<VectorCase, "flagKey" | "context">;

const folder = new URL("../vectors/", import.meta.url);

export function readVectors(): VectorFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => {
      const document = JSON.parse(readFileSync(new URL(name, folder), "utf8"));
      return { name, file: fromJson(FlagFileSchema, document.file), cases: document.cases };
    });
}

/** The answer that a case expects, with nothing else. */
export function expectedAnswer({ flagKey: _flagKey, context: _context, ...answer }: VectorCase): Answer {
  return answer;
}
