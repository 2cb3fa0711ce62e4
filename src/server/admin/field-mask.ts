import { clone, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidArgument } from "../environment.js";
import type { FieldViolation, OrRefusal } from "../refusal.js";

/** Which fields of a message a caller may set. */
export interface Editable {
  /** By their names in the proto. Everything else stays as it is. */
  readonly fields: readonly string[];
}

/**
 * A message with the editable fields of a mask taken from a request; with all of them where there is no mask. Paths name
 * top-level fields, by their names in the proto.
 */
export function mergeFields<D extends DescMessage>(
  schema: D,
  current: MessageShape<D>,
  request: MessageShape<D>,
  mask: FieldMask | undefined,
  editable: Editable,
): OrRefusal<MessageShape<D>> {
  const paths = mask?.paths ?? editable.fields;
  const violations: FieldViolation[] = [];
  const merged = clone(schema, current);
  const target = reflect(schema, merged, false);
  const source = reflect(schema, clone(schema, request), false);
  for (const [index, path] of paths.entries()) {
    const field = schema.fields.find(({ name }) => name === path);
    if (field === undefined || !editable.fields.includes(path)) {
      const choice = editable.fields.join(", ");
      violations.push({ field: `update_mask.paths[${index}]`, description: `${path} is not one of ${choice}` });
    } else if (source.isSet(field)) {
      target.set(field, source.get(field));
    } else {
      target.clear(field);
    }
  }
  if (mask !== undefined && paths.length === 0) {
    violations.push({ field: "update_mask.paths", description: "at least one field is required" });
  }
  return violations.length > 0 ? invalidArgument(violations) : merged;
}
