import type { StoreProblem } from "../store/index.js";
import { CliFailure, ExitCode } from "./failure.js";

/** Damage is an answer, and it is no; a path that is none is wrong usage; all else was refused. */
export function toStoreFailure({ kind, message }: StoreProblem): CliFailure {
  if (kind === "damaged") return new CliFailure(ExitCode.no, message);
  const isUsage = kind === "not-found" || kind === "not-a-directory";
  return new CliFailure(isUsage ? ExitCode.usage : ExitCode.refused, message);
}
