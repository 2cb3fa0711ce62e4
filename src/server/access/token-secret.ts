import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** What the holder of a token presents: `fw_ID_SECRET`. */
export interface Bearer {
  readonly id: string;
  readonly secret: string;
}

const BEARER = /^fw_([0-9a-z]{12})_([\w-]{43})$/;

export function createBearer(): Bearer {
  return { id: randomBytes(6).toString("hex"), secret: randomBytes(32).toString("base64url") };
}

export function toBearerText({ id, secret }: Bearer): string {
  return `fw_${id}_${secret}`;
}

/** Undefined for what no server of ours ever gave out. */
export function parseBearer(text: string): Bearer | undefined {
  const [, id, secret] = BEARER.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** The secret has 256 random bits, so one round of a fast hash is as hard to turn back as it can be. */
export function digestSecret(secret: string): Uint8Array {
  return hash("sha256", secret, "buffer");
}

/** In a time that does not tell how much of it was right. */
export function isSecret(secret: string, digest: Uint8Array): boolean {
  const given = digestSecret(secret);
  return given.length === digest.length && timingSafeEqual(given, digest);
}
