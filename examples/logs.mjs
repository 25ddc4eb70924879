import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

const { url, apiKey } = JSON.parse(readFileSync(`${process.env.SANDBAR_DATA_DIR ?? '/var/lib/sandbar'}/credentials.json`, 'utf8'));
const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/runs/${process.argv[2]}/logs?after=0`, { headers: { authorization: `Bearer ${apiKey}` } });
socket.on('message', (text) => {
  const frame = JSON.parse(text);
  if (frame.type === 'output') process.stdout.write(Buffer.from(frame.data, frame.encoding));
  else console.log(`${frame.state}, exit code ${frame.exitCode}`);
});
