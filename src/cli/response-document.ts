import {
  createRegistry,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { StructSchema, TimestampSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "../base/index.js";

const registry = createRegistry(StructSchema, ValueSchema, TimestampSchema);

/** A message in protobuf's JSON form. Fields without presence are there even where they are empty. */
export function toDocument<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonObject {
  const json = toJson(schema, message, { registry, alwaysEmitImplicit: true });
  return isJsonObject(json) ? json : {};
}

/** A `google.protobuf.Value` as the JSON that it stands for. */
export function toPlainValue(value: MessageShape<typeof ValueSchema>): JsonValue {
  return toJson(ValueSchema, value);
}
