// Requests and responses of API Gateway's HTTP APIs (payload format 2.0), and one log line per request.

import { authenticate } from './auth.js';

/** An error with a status that the client is told. */
export class HttpError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function json(statusCode, body, headers = {}) {
  return { statusCode, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

/** The value that a zod schema makes of an input; a 400 with all errors if it is not valid. */
export function validated(schema, input) {
  const { success, data, error } = schema.safeParse(input);
  if (success) {
    return data;
  }
  const errors = error.issues.map(({ path, message }) => [path.join('.'), message].join(' '));
  throw new HttpError(400, `Validation error: ${errors.join('; ')}`);
}

/** The JSON of a request's body. */
export function body(event) {
  const text = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : event.body;
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, 'Validation error: body is not valid JSON');
  }
}

/** The handler of a function: `handle` gets the event and the caller's organization, and returns the response. */
export function endpoint(operation, scope, handle) {
  return async (event) => {
    const start = performance.now();
    let response;
    try {
      response = await handle(event, await authenticate(event, scope));
    } catch (error) {
      if (!(error instanceof HttpError)) {
        console.error(JSON.stringify({ level: 'ERROR', operation, error: error.name, message: error.message }));
      }
      const { status = 500, message = '' } = error instanceof HttpError ? error : {};
      response = json(status, { detail: message || 'Internal server error' });
    }
    const request_id = event.requestContext.requestId;
    const duration_ms = performance.now() - start;
    console.log(JSON.stringify({ level: 'INFO', operation, request_id, status: response.statusCode, duration_ms }));
    return response;
  };
}
