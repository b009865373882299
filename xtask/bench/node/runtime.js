// Runs the handler of a module as a Lambda function: `node runtime.js MODULE`. It polls the Runtime API over one connection.
//
// AWS's own client for other base images, aws-lambda-ric, would need cmake and a C++ compiler on the developer's machine.

import http from 'node:http';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(method, path, body) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? 0 : Buffer.byteLength(body);
    const headers = { 'content-type': 'application/json', 'content-length': length };
    const options = { host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}`, headers };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const { handler } = await import(process.argv[2]);
for (;;) {
  const { headers, body } = await send('GET', 'next');
  const response = await handler(JSON.parse(body));
  await send('POST', `${headers['lambda-runtime-aws-request-id']}/response`, JSON.stringify(response));
}
