import type { ChildProcess } from "node:child_process";
import type { EventEmitter } from "node:events";
import { Socket } from "node:net";

/** A line to another process: messages arrive whole and in order, as long as both ends live. */
export interface Port {
  /**
   * `sent` is called once the message has left, or with why it could not. A socket stays open here too, until it is destroyed:
   * do that when the other end says that it has it.
   */
  post(message: unknown, socket?: Socket, sent?: (error: Error | null) => void): void;
  /** What comes, with the socket that came with it. A socket can be lost on the way. */
  onMessage(listener: (message: unknown, socket: Socket | undefined) => void): void;
  /** Called once, when the other end is gone. */
  onClosed(listener: () => void): void;
}

/** The line that Node keeps to a forked process, or from within one to its parent. */
export function toPort(process: ChildProcess | NodeJS.Process): Port {
  return {
    post(message, socket, sent) {
      // Without a callback, an error would be an event of the process. One that closes the line is told as such.
      process.send?.(message as object, socket, { keepOpen: true }, (error) => sent?.(error));
    },
    onMessage: (listener) =>
      process.on("message", (message: unknown, handle: unknown) =>
        listener(message, handle instanceof Socket ? handle : undefined),
      ),
    onClosed(listener) {
      const emitter: EventEmitter = process;
      const gone = () => {
        emitter.off("disconnect", gone).off("close", gone);
        listener();
      };
      // A process that ends with a socket on its way to it is never disconnected from: Node waits for what it was to say of
      // that. It closes all the same, after its exit and after the last that it said.
      emitter.once("disconnect", gone).once("close", gone);
    },
  };
}
