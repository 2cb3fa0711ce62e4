import { readMemory } from "./memory.js";

/** Loaded into a process before its own program: answers any message with the process's memory. */
process.on("message", () => process.send?.(readMemory()));
process.channel?.unref();
