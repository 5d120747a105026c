// A language server of the smallest kind: it finds tabs. Speaks JSON-RPC on its stdin and stdout.
import {
  createMessageConnection,
  ErrorCodes,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';

interface TextDocument {
  uri: string;
  text: string;
}

const documents = new Map<string, string>();
const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);

connection.onRequest('initialize', () => ({
  capabilities: { hoverProvider: true },
  serverInfo: { name: 'tabs', host: process.env.HOSTNAME },
}));

connection.onNotification('textDocument/didOpen', async ({ uri, text }: TextDocument) => {
  documents.set(uri, text);
  const diagnostics = text
    .split('\n')
    .flatMap((line, at) => (line.includes('\t') ? [{ line: at, message: 'a tab' }] : []));
  await connection.sendNotification('textDocument/publishDiagnostics', { uri, diagnostics });
});

connection.onRequest('textDocument/hover', ({ uri }: { uri: string }) => {
  const text = documents.get(uri);
  if (text === undefined) throw new ResponseError(ErrorCodes.InvalidParams, `not open: ${uri}`);
  return { contents: `${text.length} characters` };
});

connection.onRequest('shutdown', () => null);
connection.onNotification('exit', () => process.exit(0));
connection.onNotification('crash', () => process.exit(3));
connection.listen();
