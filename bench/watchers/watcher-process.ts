import { type GroupOptions, type Received, type Synced, WatcherGroup } from "./watcher-group.js";

/** What a process of watchers is asked for; one at a time. */
export type WatcherOrder =
  /** Answered by `WatcherAnswer<Synced>` when all have their first update. */
  | { readonly kind: "open"; readonly group: string; readonly options: GroupOptions }
  /** Answered by "expecting" at once, or by a failure that was before, and by `WatcherAnswer<Received>` when all have it. */
  | { readonly kind: "expect"; readonly group: string; readonly revision: number }
  /** Its server is about to go: answered by "abandoned". */
  | { readonly kind: "abandon"; readonly group: string }
  /** Answered by "closed". */
  | { readonly kind: "close"; readonly group: string }
  /** Answered by the processor time used so far, in milliseconds. */
  | { readonly kind: "processor-time" };

/** `failure` says what one of the watchers saw that it must not. */
export type WatcherAnswer<T> = { readonly result: T } | { readonly failure: string };

const groups = new Map<string, WatcherGroup>();
const failures = new Map<string, string>();

function obey(order: WatcherOrder): void {
  switch (order.kind) {
    case "open": {
      const group = new WatcherGroup(order.options, ({ message }) => {
        failures.set(order.group, message);
        answer<Synced>({ failure: message });
      });
      groups.set(order.group, group);
      void group.synced.then((result) => answer<Synced>({ result }));
      break;
    }
    case "expect": {
      const failure = failures.get(order.group);
      if (failure !== undefined) {
        answer<Received>({ failure });
        break;
      }
      const received = groups.get(order.group)?.expect(order.revision);
      process.send?.("expecting");
      void received?.then((result) => answer<Received>({ result }));
      break;
    }
    case "abandon":
      groups.get(order.group)?.abandon();
      process.send?.("abandoned");
      break;
    case "close":
      groups.get(order.group)?.close();
      groups.delete(order.group);
      process.send?.("closed");
      break;
    case "processor-time": {
      const { user, system } = process.cpuUsage();
      process.send?.((user + system) / 1000);
      break;
    }
  }
}

function answer<T>(given: WatcherAnswer<T>): void {
  process.send?.(given);
}

process.once("disconnect", () => process.exit());
process.on("message", obey);
process.send?.("started");
