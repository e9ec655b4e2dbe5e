// semcomp in a browser: decode, encode and recognise .semc files without a server.
export { Client, type CallOptions } from "./client.ts";
export {
  type DecodeOptions, type Decoded, type EncodeOptions, type HeadOptions, classify, configure, decode, encode, info,
  restore, segment, sharedClient,
} from "./functions.ts";
export type { Source } from "./sources.ts";
export { previewOf } from "./thumb.ts";
export {
  type ChunkFacts, type ClientFacts, type ClientOptions, type EncodeRequest, type Encoded, type ErrorKind, type FileFacts,
  type HeadFacts, type Label, type Labels, type OnProgress, type Opened, type Picture, type Restored, type Segmentation, SemcompError,
  type Step, type SymbolsDump, type Timings,
} from "./types.ts";
