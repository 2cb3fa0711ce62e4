import type { Port } from "../../src/cluster/port.js";
import type { BoundsOptions } from "../../src/store/index.js";

/** What is said on the line itself, by both ends. */
export type OwnerCommand =
  | { readonly kind: "own"; readonly channel: number; readonly path: string; readonly options: BoundsOptions }
  | { readonly kind: "owned"; readonly channel: number }
  | { readonly kind: "let-go"; readonly channel: number }
  | { readonly kind: "gone"; readonly channel: number }
  | { readonly kind: "channel"; readonly channel: number; readonly message: unknown };

/** One of many lines that share one. */
export function channelOf(line: Port, channel: number): Port {
  return {
    post: (message, _socket, sent) => line.post({ kind: "channel", channel, message }, undefined, sent),
    onMessage: (listener) =>
      line.onMessage((received) => {
        const command = received as OwnerCommand;
        if (command.kind === "channel" && command.channel === channel) listener(command.message, undefined);
      }),
    onClosed: (listener) => line.onClosed(listener),
  };
}
