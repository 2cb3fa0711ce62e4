import { randomUUID } from "node:crypto";
import type { TraceSdk } from "./load-sdk.js";

/** What of the SDK makes resources. */
type ResourceSdk = Pick<TraceSdk, "defaultResource" | "detectResources" | "envDetector" | "resourceFromAttributes">;

interface Recorder {
  /** See ServerOptions. */
  readonly version: string;
  /** The worker's number, where there are several. */
  readonly worker?: number | undefined;
}

/** Who records. What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before. */
export function createResource(sdk: ResourceSdk, { version, worker }: Recorder) {
  const own = sdk.resourceFromAttributes({
    "service.name": "flagwire",
    "service.version": version,
    "service.instance.id": randomUUID(),
    ...(worker !== undefined && { "flagwire.worker": worker }),
  });
  return sdk
    .defaultResource()
    .merge(own)
    .merge(sdk.detectResources({ detectors: [sdk.envDetector] }));
}
