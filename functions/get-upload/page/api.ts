// Calls of the API, repeated where a repetition can help.

/** A call that failed for good: the response, or the lack of one. */
export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 if there was no response. */
    readonly status: number,
    /** The sentence of the response. */
    readonly detail: string,
    readonly requestId: string | null = null,
  ) {
    super(detail);
  }
}

export interface ApiRequest {
  method: string;
  /** Relative to the base URL, without a slash at the start. */
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Decides after a failed attempt that may succeed later. By default, a request is sent `ATTEMPTS` times. */
  mayRepeat?: (error: ApiError, attempt: number) => boolean;
}

interface ApiResponse {
  status: number;
  headers: Headers;
  body: unknown;
}

/** What the calls need of the browser, so that tests can do without. */
export interface Environment {
  fetch: typeof fetch;
  /** Waits, in milliseconds. */
  sleep: (duration: number) => Promise<void>;
  /** From 0 to 1. */
  random: () => number;
}

export const browser: Environment = {
  fetch: (...request) => fetch(...request),
  sleep: (duration) => new Promise((resolve) => setTimeout(resolve, duration)),
  random: Math.random,
};

/** How often a call is sent before it has failed. With the pauses between, that is about a minute. */
export const ATTEMPTS = 8;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 20_000;
/** The longest pause that the API may ask for (`Retry-After`). */
const LONGEST_ASKED_PAUSE = 300_000;

/** A pause between two attempts, in progress. `asked` is its length in milliseconds if the API has asked for it. */
export type Wait = (pause: Promise<void>, asked: number | undefined) => Promise<void>;

/**
 * The API, as one key sees it. The key is in this object and nowhere else: it is sent in a header, and is in no URL, storage or
 * cookie.
 */
export class Api {
  constructor(
    private readonly base: URL,
    private readonly key: string,
    private readonly environment: Environment = browser,
    private readonly wait: Wait = (pause) => pause,
  ) {}

  /** The same API, with pauses that `wait` watches and may end by an error. */
  withWait(wait: Wait): Api {
    return new Api(this.base, this.key, this.environment, wait);
  }

  /**
   * Sends a request until it succeeds or fails for good, and returns the JSON of the response. Throws an `ApiError`.
   *
   * Every request of this page can be repeated: it only reads, or is a `PUT`, or has an `Idempotency-Key`, which all attempts
   * share.
   */
  async send(request: ApiRequest): Promise<unknown> {
    return (await this.exchange(request)).body;
  }

  /** Reads a list to its end, by the `Link` of each page. */
  async list(path: string): Promise<unknown[]> {
    const rows: unknown[] = [];
    let next: string | undefined = path;
    while (next !== undefined) {
      const page: ApiResponse = await this.exchange({ method: 'GET', path: next });
      rows.push(...(page.body as unknown[]));
      next = nextPage(page.headers.get('Link'));
    }
    return rows;
  }

  private async exchange(request: ApiRequest): Promise<ApiResponse> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.attempt(request);
      if (response && response.status < 300) return response;
      const error = response ? errorOf(response) : new ApiError(0, 'There was no response.');
      const mayRepeat = request.mayRepeat ?? (() => attempt < ATTEMPTS);
      if (!isTemporary(error.status, request) || !mayRepeat(error, attempt)) throw error;
      const asked = askedPause(response);
      await this.wait(this.environment.sleep(asked ?? this.pause(attempt)), asked);
    }
  }

  /** One attempt; without a result if the connection failed, also in the middle of the response. */
  private async attempt({ method, path, body, headers }: ApiRequest): Promise<ApiResponse | undefined> {
    const sent: RequestInit = {
      method,
      headers: { ...headers, 'X-API-Key': this.key },
      credentials: 'omit',
      cache: 'no-store',
    };
    if (body !== undefined) {
      sent.body = JSON.stringify(body);
      sent.headers = { ...sent.headers, 'Content-Type': 'application/json' };
    }
    try {
      const response = await this.environment.fetch(new URL(path, this.base), sent);
      return { status: response.status, headers: response.headers, body: parse(await response.text()) };
    } catch {
      return undefined;
    }
  }

  /** A pause that grows with each attempt, with jitter so that clients do not agree. */
  private pause(attempt: number): number {
    return Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + this.environment.random() / 2);
  }
}

/** The URL of the API: that of this page without its last segment, also below the path of a stage (`/v1/upload`). */
export function baseUrl(page: string): URL {
  const url = new URL(page);
  return new URL(url.pathname.replace(/\/upload\/?$/u, '/'), url.origin);
}

/** A new key that lets a `POST` be repeated. */
export function newIdempotencyKey(): string {
  // `crypto.randomUUID` exists on HTTPS and localhost only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `upload-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * `true` if the next attempt may succeed: no response, too many requests, an unavailable service or gateway, or an attempt before
 * this one that is still running.
 */
function isTemporary(status: number, request: ApiRequest): boolean {
  return [0, 429, 502, 503, 504].includes(status) || (status === 409 && 'Idempotency-Key' in (request.headers ?? {}));
}

/** The pause that a response asks for, within limits, in milliseconds. */
function askedPause(response: ApiResponse | undefined): number | undefined {
  const seconds = Number(response?.headers.get('Retry-After') ?? '');
  return seconds > 0 ? Math.min(seconds * 1000, LONGEST_ASKED_PAUSE) : undefined;
}

/** The JSON of a body; the text of another body, which a gateway or a proxy has sent. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

/** The error in a response; the gateway's has another form. */
function errorOf({ status, headers, body }: ApiResponse): ApiError {
  const { detail, message } = (body ?? {}) as { detail?: unknown; message?: unknown };
  return new ApiError(status, String(detail ?? message ?? ''), headers.get('X-Request-ID'));
}

/** The path of the next page (RFC 8288). It has the stage of the API, as an absolute path. */
function nextPage(link: string | null): string | undefined {
  return link?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
}
