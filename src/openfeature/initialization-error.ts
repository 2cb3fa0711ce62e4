import { ProviderFatalError, ProviderNotReadyError } from "@openfeature/server-sdk";
import { MirrorError, type MirrorErrorKind } from "../client/index.js";

/** What the SDK is told of a mirror that could not be opened: its status is then FATAL or ERROR. */
export function toInitializationError(error: unknown): ProviderFatalError | ProviderNotReadyError {
  const message = error instanceof Error ? error.message : "the mirror cannot be opened";
  // Time alone mends what goes wrong on the way to a server. It mends no refusal, and no address that is none.
  return mayHealByItself(error)
    ? new ProviderNotReadyError(message, { cause: error })
    : new ProviderFatalError(message, { cause: error });
}

/** Whether to try again. A refused mirror may be permitted later, such as when its environment is created. */
export function isWorthTrying(error: unknown): boolean {
  return mayHealByItself(error) || (error instanceof MirrorError && error.kind === "refused");
}

function mayHealByItself(error: unknown): boolean {
  return error instanceof MirrorError && HEALING.has(error.kind);
}

const HEALING: ReadonlySet<MirrorErrorKind> = new Set(["connection", "timeout"]);
