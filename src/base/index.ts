export * from "./assert.js";
export * from "./backoff.js";
export * from "./clock.js";
export * from "./loopback.js";
export * from "./message-frame.js";
export * from "./printable.js";
export * from "./random.js";
