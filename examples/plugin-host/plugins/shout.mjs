// A plug-in as it should be: answers `transform` with the text in capitals.
import { createInterface } from 'node:readline';

const say = (message) => console.log(JSON.stringify({ jsonrpc: '2.0', ...message }));

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === undefined) continue;
  say({ method: 'log', params: `${method} is asked for` });
  if (method === 'transform') say({ id, result: params.text.toUpperCase() });
  else say({ id, error: { code: -32601, message: `no method ${method}` } });
}
