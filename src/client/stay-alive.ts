import { MessageChannel } from "node:worker_threads";

/** Keeps the program from ending by itself until the function returned is called. */
export function stayAlive(): () => void {
  const { port1 } = new MessageChannel();
  port1.ref();
  return () => port1.close();
}
