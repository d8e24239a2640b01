/**
 * The bytes under a client: HTTP to any Kubernetes, or a call into an API server in the same process. Both answer the
 * same; no short cut has other semantics.
 */
export interface TransportRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  /** Path with query, percent-encoded: `/api/v1/namespaces/default/pods?limit=500`. */
  path: string;
  /** Lower-case names. */
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | string;
  /** Aborts the request, and its body while it is read. */
  signal?: AbortSignal;
  /** Bound on the time to the response's headers, and on the whole body unless `stream`. Default 60 s. */
  timeoutMs?: number;
  /** The body has no end of its own (watch, logs -f): no bound on its length in time. */
  stream?: boolean;
}

/** The head of an answer, and its body as it arrives. Any status is an answer: nothing is thrown for 404. */
export interface TransportResponse {
  status: number;
  /** Lower-case names. A header that came several times is joined with ", ". */
  headers: Readonly<Record<string, string>>;
  /** Every `Warning` header's text, as in `299 - "text"`. */
  warnings: readonly string[];
  /** Chunks as they arrive. Read it or `bytes()`, once. Leaving the loop early releases the connection. */
  body: AsyncIterable<Uint8Array>;
  bytes(): Promise<Uint8Array>;
}

/** A two-way stream of WebSocket messages (exec, attach, port-forward). */
export interface TransportSocket {
  /** The subprotocol that the server chose. */
  readonly protocol: string;
  readonly messages: AsyncIterable<Uint8Array>;
  send(message: Uint8Array): void;
  /** Resolves when there is room to send more: await it between the parts of a long input. */
  drain?(): Promise<void>;
  close(): void;
}

/** One way to one API server, as one identity. Failures to reach it are StatusErrors. */
export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  /** Opens a WebSocket on a path. @throws StatusError with the server's answer when the handshake is refused. */
  connect(path: string, options: { protocols: readonly string[]; signal?: AbortSignal }): Promise<TransportSocket>;
  /** Releases what it holds; requests after it fail. Twice is harmless. */
  close(): Promise<void>;
}
