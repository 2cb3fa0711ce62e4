import { type DescEnum, type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** What reflection can look up, over some services and all that their files import. */
export interface DescriptorIndex {
  readonly serviceNames: readonly string[];
  fileByName(name: string): DescFile | undefined;
  /** The file that declares a service, method, message, field, oneof, enum, enum value or extension. */
  fileBySymbol(symbol: string): DescFile | undefined;
  fileByExtension(extendee: string, number: number): DescFile | undefined;
  /** Numbers of the known extensions; undefined where the message itself is not known. */
  extensionNumbers(extendee: string): number[] | undefined;
  /** A file and all that it imports, itself first, each as a serialized FileDescriptorProto. */
  closure(file: DescFile): Uint8Array[];
}

export function createDescriptorIndex(services: readonly DescService[]): DescriptorIndex {
  const files = new Map<string, DescFile>();
  for (const service of services) addFile(service.file, files);
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files.values()) indexFile(file, symbols, extensions);
  const encoded = new Map<DescFile, Uint8Array>();
  const encode = (file: DescFile): Uint8Array => {
    const bytes = encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    encoded.set(file, bytes);
    return bytes;
  };
  return {
    serviceNames: services.map((service) => service.typeName).sort(),
    fileByName: (name) => files.get(name),
    fileBySymbol: (symbol) => symbols.get(symbol),
    fileByExtension: (extendee, number) => extensions.get(extendee)?.get(number),
    extensionNumbers: (extendee) =>
      extensions.has(extendee) ? [...(extensions.get(extendee)?.keys() ?? [])] : undefined,
    closure: (file) => [...addFile(file, new Map()).values()].map(encode),
  };
}

/** Adds a file and what it imports, under their full names: protobuf-es's own `name` lacks the suffix. */
function addFile(file: DescFile, into: Map<string, DescFile>): Map<string, DescFile> {
  const name = file.proto.name;
  if (into.has(name)) return into;
  into.set(name, file);
  for (const dependency of file.dependencies) addFile(dependency, into);
  return into;
}

function indexFile(
  file: DescFile,
  symbols: Map<string, DescFile>,
  extensions: Map<string, Map<number, DescFile>>,
): void {
  for (const service of file.services) {
    symbols.set(service.typeName, file);
    for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
  }
  for (const enumeration of file.enums) indexEnum(enumeration, symbols);
  for (const message of file.messages) indexMessage(message, symbols, extensions);
  for (const extension of [...file.extensions, ...file.messages.flatMap(nestedExtensions)]) {
    symbols.set(extension.typeName, file);
    const known = extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
    extensions.set(extension.extendee.typeName, known.set(extension.number, file));
  }
}

function indexMessage(
  message: DescMessage,
  symbols: Map<string, DescFile>,
  extensions: Map<string, Map<number, DescFile>>,
): void {
  symbols.set(message.typeName, message.file);
  if (!extensions.has(message.typeName)) extensions.set(message.typeName, new Map());
  for (const field of message.fields) symbols.set(`${message.typeName}.${field.name}`, message.file);
  for (const oneof of message.oneofs) symbols.set(`${message.typeName}.${oneof.name}`, message.file);
  for (const enumeration of message.nestedEnums) indexEnum(enumeration, symbols);
  // The entries of maps are no messages to protobuf-es, but they are declared.
  for (const { name } of message.proto.nestedType) symbols.set(`${message.typeName}.${name}`, message.file);
  for (const nested of message.nestedMessages) indexMessage(nested, symbols, extensions);
}

/** Protobuf puts the values of an enum beside it, not into it. */
function indexEnum(enumeration: DescEnum, symbols: Map<string, DescFile>): void {
  symbols.set(enumeration.typeName, enumeration.file);
  const scope = enumeration.typeName.slice(0, enumeration.typeName.lastIndexOf(".") + 1);
  for (const value of enumeration.values) symbols.set(`${scope}${value.name}`, enumeration.file);
}

function nestedExtensions(message: DescMessage): DescMessage["nestedExtensions"] {
  return [...message.nestedExtensions, ...message.nestedMessages.flatMap(nestedExtensions)];
}
